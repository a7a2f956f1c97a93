package posix

// StatObject returns what the file system reports about the object called name (stat(2)).
// It needs no permission for the object. Errors: fs.ErrNotExist, EINVAL (an invalid name;
// not a regular file), ENAMETOOLONG.
func StatObject(name string) (FileInfo, error) {
	info, err := statFile(shmDir, "", name)
	return info, failed("stat", name, err)
}

// StatSemaphore is StatObject for a named semaphore. It also reads the semaphore if the
// caller has permission.
func StatSemaphore(name string) (SemaphoreInfo, error) {
	info, err := statFile(shmDir, semPrefix, name)
	if err != nil {
		return SemaphoreInfo{}, failed("stat", name, err)
	}
	return semaphoreInfo(info), nil
}

// StatQueue is StatObject for a message queue. It also reads the attributes of the queue
// if the caller has permission. Errors: also ErrNotMounted.
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

// statFile returns the file info of the object called name, in dir.
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
