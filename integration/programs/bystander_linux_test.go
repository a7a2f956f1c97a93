package programs_test

import (
	"slices"
	"strconv"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// bystander is another user's program, which must survive everything done to the program
// under test. The last user of its set, segment and queues is a child that has ended. The
// bystander itself has a POSIX object open.
const bystander = `
use strict;
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT SEM_UNDO);
$| = 1;
my $set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) // die $!;
my $segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) // die $!;
my $full = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // die $!;
my $empty = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // die $!;
open my $object, '+>', '/dev/shm/bystander' or die $!;
print $object 'text';
if (fork == 0) {
	semop($set, pack('s!3', 0, 1, 0)) or die $!;
	shmwrite($segment, 'text', 0, 4) or die $!;
	msgsnd($full, pack('l! a*', 1, 'text'), 0) or die $!;
	msgsnd($empty, pack('l! a*', 1, 'text'), 0) or die $!;
	msgrcv($empty, my $text, 10, 0, 0) or die $!;
	exit;
}
wait;
exit 1 if $?;
print "ready\n";
close STDOUT;
sleep;
`

// startBystander starts the bystander as a user that no program uses, and returns its
// objects.
func (o *observation) startBystander() []object {
	o.t.Helper()
	p := o.startReady(o.command(strconv.Itoa(ipctest.User(0)), "perl", "-e", bystander))
	o.spares(p.pid)
	return o.all()
}

// missingOthers returns the bystander's objects that are gone.
func (o *observation) missingOthers() []string {
	now := map[string]bool{}
	for _, x := range o.all() {
		now[x.String()] = true
	}
	return slices.DeleteFunc(slices.Clone(o.others), func(name string) bool { return now[name] })
}
