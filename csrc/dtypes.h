/* Includes FNN_FILE once for every dtype: `real` is its type, OP(name) the name of a function of it. */
#define real float
#define OP(name) FNN_CAT(fnn_, name, _f32)
#include FNN_FILE
#undef real
#undef OP

#define real double
#define OP(name) FNN_CAT(fnn_, name, _f64)
#include FNN_FILE
#undef real
#undef OP
