package inventory

import "runtime"

// FindActors returns the processes that each of the objects names, as Use.Actors has them,
// but none for sets, whose semaphores it does not read. Collect returned the objects
// earlier; the processes are inspected as they are now. With an error, all actors are Unseen.
func FindActors(objects []*Object) ([][]Actor, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &collector{inv: &Inventory{}, known: make(map[int]*known)}
	for _, o := range objects {
		copied := *o
		copied.Use = &Use{}
		c.inv.Objects = append(c.inv.Objects, copied)
	}
	c.openProc()
	if c.fs != nil {
		defer c.fs.Close()
	}
	c.findActors()
	actors := make([][]Actor, len(objects))
	for i := range c.inv.Objects {
		actors[i] = c.inv.Objects[i].Use.Actors
	}
	return actors, c.procErr
}
