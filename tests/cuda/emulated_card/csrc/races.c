#include "machine.h"
void races_begin(Grid *grid) { (void)grid; }
void races_end(Grid *grid) { (void)grid; }
void races_thread(Thread *t, u32 block) { (void)t; (void)block; }
void races_barrier_arrive(Thread *me, Barrier *barrier) { (void)me; (void)barrier; }
void races_barrier_leave(Thread *t, Barrier *barrier) { (void)t; (void)barrier; }
void races_barrier_done(Barrier *barrier) { (void)barrier; }
void races_warp(Thread **threads, int n) { (void)threads; (void)n; }
void race_global(Thread *me, u32 site, u64 address, u32 n, u32 flags) { (void)me; (void)site; (void)address; (void)n; (void)flags; }
void race_shared(Thread *me, u32 site, u64 address, u32 n, u32 flags) { (void)me; (void)site; (void)address; (void)n; (void)flags; }
void fence(Thread *me, u32 site, u32 scope) { (void)me; (void)site; (void)scope; }
int tracing;
void trace(Thread *me, u32 site, u64 address, u32 n, int space) { (void)me; (void)site; (void)address; (void)n; (void)space; }
