package programs_test

import "fmt"

// pgpool is Pgpool-II with a PostgreSQL server.
func pgpool(r *room) service {
	database := postgreSQL("mmap", "posix")(r)
	r.serves(database.request)
	r.discard(r.path("pgpool") + "/pgpool.pid")
	dir := r.owned("pgpool", "postgres")
	r.must("postgres", "rm", "-f", dir+"/.s.PGSQL.5433", dir+"/.s.PGSQL.9898")
	r.start("postgres", "pgpool", "-n", "-f", r.write("pgpool.conf", fmt.Sprintf(`
backend_clustering_mode = 'raw'
backend_hostname0 = '/var/lib/postgresql'
backend_port0 = 5432
listen_addresses = ''
port = 5433
unix_socket_directories = '%[1]s'
socket_dir = '%[1]s'
pcp_listen_addresses = ''
pcp_socket_dir = '%[1]s'
num_init_children = 4
child_life_time = 2
pool_passwd = ''
pid_file_name = '%[1]s/pgpool.pid'
logdir = '%[1]s'
work_dir = '%[1]s'
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = 1MB
memqcache_max_num_cache = 1000
memqcache_cache_block_size = 64kB
memqcache_maxcache = 32kB
`, dir)))
	request := func() error {
		said, err := r.run("postgres", "psql", "-h", dir, "-p", "5433", "-d", "postgres", "-qAtc", "select count(*) > 100 from pg_class")
		if err == nil && said != "t\n" {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}
	return service{
		request: request,
		recycle: func() {
			r.killChildren(r.pidIn(dir + "/pgpool.pid"))
			r.serves(request)
		},
	}
}
