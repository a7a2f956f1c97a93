package programs_test

// prefork has two workers that take jobs from a queue, count them in a segment under a
// semaphore, answer through the queue, and end after ten jobs.
const prefork = `
use strict;
use Errno;
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT SEM_UNDO SETVAL);
$| = 1;
my $set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) // die $!;
semctl($set, 0, SETVAL, 1) // die $!;
my $segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) // die $!;
my $queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // die $!;
sub sem { semop($set, pack('s!3', 0, $_[0], SEM_UNDO)) or die $! }
sub worker {
	for (1 .. 10) {
		msgrcv($queue, my $job, 100, 1, 0) or exit;
		sem(-1);
		shmread($segment, my $n, 0, 8) or die $!;
		shmwrite($segment, pack('q', 1 + unpack('q', $n)), 0, 8) or die $!;
		sem(1);
		msgsnd($queue, pack('l!', 2) . substr($job, length pack('l!', 0)), 0) or die $!;
	}
	exit;
}
my %workers;
sub spawn { my $pid = fork // die $!; $pid ? $workers{$pid} = 1 : worker() }
$SIG{CHLD} = sub { while ((my $pid = waitpid(-1, 1)) > 0) { delete $workers{$pid}; spawn() } };
spawn() for 1 .. 2;
for (;;) {
	my $line = <STDIN>;
	unless (defined $line) { next if $!{EINTR}; last }
	msgsnd($queue, pack('l! a*', 1, $line), 0) or die $!;
	my $answer;
	until (msgrcv($queue, $answer, 100, 2, 0)) { die $! unless $!{EINTR} }
	print substr $answer, length pack('l!', 0);
}
`

// perlPrefork is a Perl server with objects of each System V kind.
func perlPrefork(r *room) service {
	d := r.startDialogue(r.command(r.user, "perl", r.write("prefork.pl", prefork)))
	return service{
		request: func() error { return d.ask("job", "job") },
		recycle: func() { r.killChildren(d.pid) },
	}
}

const shared = `
use strict;
use IPC::ShareLite;
$| = 1;
my $share = IPC::ShareLite->new(-key => 1971, -create => 'yes', -destroy => 'no') or die $!;
while (my $line = <STDIN>) {
	$share->lock;
	$share->store($line);
	$share->unlock;
	print $share->fetch;
}
`

// perlShareLite is a Perl program with a variable in a segment, under a lock.
func perlShareLite(r *room) service {
	d := r.startDialogue(r.command(r.user, "perl", r.write("shared.pl", shared)))
	return service{request: func() error { return d.ask("value", "value") }}
}
