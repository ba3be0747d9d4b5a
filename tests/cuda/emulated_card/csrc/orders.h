/* What happens before what among operations: launches, copies and fills of several streams. */
#pragma once
#include "card.h"

/* A launch touches a word that an operation of another stream touched; a fault, unless that one happened before. */
void orders_check(Thread *me, u32 site, u64 address, u32 flags, u32 earlier);
