// The same worlds, natively and as WebAssembly: every action, delivery and byte on a link is in the digest, so equal
// lines mean that pointers of another size, another compiler and another target change nothing.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ALL_FAULTS = 0x7fff;
const SEEDS = 40;

function run(command, ...parameters) {
    const result = spawnSync(command, parameters, { cwd: ROOT, encoding: 'utf8', timeout: 300_000 });
    assert.equal(result.status, 0, `${command} ${parameters.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout;
}

function build(preset, target) {
    if (!existsSync(`${ROOT}/build/${preset}/build.ninja`)) run('cmake', '--preset', preset);
    run('ninja', '-C', `build/${preset}`, '-j2', target);
}

async function wasmSimulator() {
    build('wasm', 'sim-world');
    const module = await WebAssembly.compile(readFileSync(`${ROOT}/build/wasm/sim-world.wasm`));
    // The C library's stdio is linked in for formatting; a world that wrote or read anything would be no simulation.
    const refused = (name) => () => {
        throw new Error(`the simulator called ${name}`);
    };
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = refused(name);
    const { exports } = await WebAssembly.instantiate(module, imports);
    exports._initialize();
    return (seed) => {
        const length = exports.sim_world(seed, 0, 0, ALL_FAULTS, 0);
        return Buffer.from(exports.memory.buffer, exports.sim_summary(), length).toString();
    };
}

test(`${SEEDS} worlds come to the same digest natively and in WebAssembly`, async () => {
    build('dev', 'sim/sim');
    const world = await wasmSimulator();
    for (let seed = 1; seed <= SEEDS; seed++) {
        const [native] = run('build/dev/sim/sim', '--seed', String(seed)).split('\n');
        assert.match(native, /digest [0-9a-f]{16}$/);
        assert.equal(world(seed), native);
    }
});
