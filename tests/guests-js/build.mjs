// Makes the guests of this folder into components:
//
//   node build.mjs OUT [--wit FOLDER]
//
// writes OUT/NAME.wasm (with `_` for `-`), OUT/NAME.wit (what the component imports and exports) and OUT/npm (the packages). Nothing
// is written into the checkout. A guest whose sources, contract and packages did not change since the last time is left as it is.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const GUESTS = ['fetch-through'];
/**
 * Features of the JavaScript engine that are left out. `stdio` would bring terminals and a file system with it; `fetch-event` would export
 * an HTTP server.
 */
const LEFT_OUT = ['stdio', 'fetch-event'];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { wit: { type: 'string', default: join(HERE, '../../wit') } },
});
if (positionals.length !== 1) {
  console.error('usage: node build.mjs OUT [--wit FOLDER]');
  process.exit(2);
}
const out = resolve(positionals[0]);
const contract = resolve(values.wit);

/** Digest of files and of all files below folders. */
async function digest(...paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const names = (await stat(path)).isDirectory() ? (await readdir(path, { recursive: true })).sort() : [''];
    for (const name of names) {
      const file = join(path, name);
      if ((await stat(file)).isFile()) hash.update(`${name}\0`).update(await readFile(file)).update('\0');
    }
  }
  return hash.digest('hex');
}

/** Text of a file, or `undefined` when there is none. */
async function read(path) {
  return readFile(path, 'utf8').catch(() => undefined);
}

/** Installs what package-lock.json says below OUT/npm, unless it is there. */
async function install() {
  const folder = join(out, 'npm');
  const wanted = await digest(join(HERE, 'package.json'), join(HERE, 'package-lock.json'));
  if ((await read(join(folder, 'installed'))) !== wanted) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const name of ['package.json', 'package-lock.json']) await cp(join(HERE, name), join(folder, name));
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], { cwd: folder, stdio: 'inherit' });
    await writeFile(join(folder, 'installed'), wanted);
  }
  return folder;
}

/** A folder with the guest's own world and Breakwater's packages, as the WIT tools expect them. */
async function worldOf(guest) {
  const folder = await mkdtemp(join(tmpdir(), 'breakwater-wit-'));
  await cp(join(HERE, guest, 'world.wit'), join(folder, 'world.wit'));
  await cp(join(contract, 'deps'), join(folder, 'deps'), { recursive: true });
  await mkdir(join(folder, 'deps/breakwater'));
  for (const name of await readdir(contract)) {
    if (name.endsWith('.wit')) await cp(join(contract, name), join(folder, 'deps/breakwater', name));
  }
  return folder;
}

/** A package of a folder that is not above this file: its entry for `import`. */
async function load(packages, name) {
  const folder = join(packages, 'node_modules', name);
  const { exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const own = exports['.'] ?? exports;
  const entry = own.import?.default ?? own.import ?? own.default ?? own;
  return import(pathToFileURL(join(folder, entry)));
}

/** Builds one guest. */
async function build(guest, packages) {
  const file = join(out, `${guest.replaceAll('-', '_')}.wasm`);
  const stamp = join(out, `${guest}.inputs`);
  const inputs = await digest(join(HERE, guest), contract, join(HERE, 'package-lock.json'), fileURLToPath(import.meta.url));
  if ((await read(stamp)) === inputs && (await stat(file).catch(() => undefined))) {
    console.log(`${guest}: unchanged`);
    return;
  }
  const started = performance.now();
  const { componentize } = await load(packages, '@bytecodealliance/componentize-js');
  const { componentWit } = await load(packages, '@bytecodealliance/jco');
  const wit = await worldOf(guest);
  try {
    const { component } = await componentize({
      sourcePath: join(HERE, guest, 'adapter.js'),
      witPath: wit,
      worldName: guest,
      disableFeatures: LEFT_OUT,
    });
    await writeFile(`${file}.new`, component);
    await rename(`${file}.new`, file);
    const listing = await componentWit(component);
    await writeFile(join(out, `${guest}.wit`), listing);
    await writeFile(stamp, inputs);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${guest}: ${(component.length / 2 ** 20).toFixed(1)} MiB in ${seconds} s`);
    console.log(listing.split('\n').filter((line) => /^ {2}(import|export) /.test(line)).join('\n'));
  } finally {
    await rm(wit, { recursive: true, force: true });
  }
}

const packages = await install();
for (const guest of GUESTS) await build(guest, packages);
