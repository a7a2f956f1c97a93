package posix

// StatObject returns what the file system tells of the object called name
// (stat(2)). It takes no permission for the object. Errors: fs.ErrNotExist, EINVAL
// (the name, not a regular file), ENAMETOOLONG.
func StatObject(name string) (FileInfo, error) {
	info, err := statFile(shmDir, "", name)
	return info, failed("stat", name, err)
}

// StatSemaphore is StatObject for a named semaphore. It reads the semaphore if the
// caller may.
func StatSemaphore(name string) (SemaphoreInfo, error) {
	info, err := statFile(shmDir, semPrefix, name)
	if err != nil {
		return SemaphoreInfo{}, failed("stat", name, err)
	}
	return semaphoreInfo(info), nil
}

// StatQueue is StatObject for a message queue. It asks the queue for its attributes
// if the caller may read it. Errors: also ErrNotMounted.
func StatQueue(name string) (QueueInfo, error) {
	err := checkQueueDir()
	var info FileInfo
	if err == nil {
		info, err = statFile(queueDir, "", name)
	}
	if err != nil {
		return QueueInfo{}, failed("stat", name, err)
	}
	return queueInfo(info), nil
}

// statFile looks at the file in dir that name stands for.
func statFile(dir, prefix, name string) (FileInfo, error) {
	base, err := fileName(prefix, name)
	if err != nil {
		return FileInfo{}, err
	}
	info, err := lstat(dir + "/" + base)
	switch {
	case err != nil:
		return FileInfo{}, err
	case !info.Mode().IsRegular():
		return FileInfo{}, refused("not a regular file")
	}
	return fileInfo("/"+base[len(prefix):], info), nil
}
