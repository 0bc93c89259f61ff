# Toolchain for the browser core: clang compiles, wasm-ld links (the clang driver's own link step would call
# wasm-opt when binaryen happens to be installed, and then yields another binary).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_ASM_COMPILER clang-19)
set(CMAKE_ASM_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19)
set(CMAKE_RANLIB llvm-ranlib-19)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

# The host's /usr/include is on clang's default search path for this target: only wasi-libc may be seen.
set(CMAKE_C_FLAGS_INIT "-nostdlibinc -isystem /usr/include/wasm32-wasi -mbulk-memory -ffunction-sections -fdata-sections")
execute_process(COMMAND clang-19 --target=wasm32-wasi -print-libgcc-file-name
  OUTPUT_VARIABLE WASM_BUILTINS OUTPUT_STRIP_TRAILING_WHITESPACE)
set(CMAKE_C_LINK_EXECUTABLE
  "wasm-ld-19 --no-entry --export=_initialize --gc-sections --strip-debug --stack-first -z stack-size=262144 <LINK_FLAGS> /usr/lib/wasm32-wasi/crt1-reactor.o <OBJECTS> <LINK_LIBRARIES> /usr/lib/wasm32-wasi/libc.a ${WASM_BUILTINS} -o <TARGET>")
