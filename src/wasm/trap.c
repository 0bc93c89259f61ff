/* A failed assertion ends the instance. Without this, wasi-libc's assert would pull in stdio and with it half
 * a dozen imports. */
#include "wasm.h"

_Noreturn void wasm_trap(void)
{
    __builtin_trap();
}

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function);

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function)
{
    (void)expression, (void)file, (void)line, (void)function;
    wasm_trap();
}
