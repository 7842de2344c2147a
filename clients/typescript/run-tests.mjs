// Builds the client and runs its tests without writing into the checkout:
//
//   node run-tests.mjs OUT
//
// OUT gets a copy of the sources, the packages of package-lock.json (installed anew only when that changed) and what is built. The
// environment is passed on; the head of test/live.test.ts says which variables there are. Ends as the tests end.

import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
if (process.argv.length !== 3) {
  console.error('usage: node run-tests.mjs OUT');
  process.exit(2);
}
const out = resolve(process.argv[2]);
await mkdir(out, { recursive: true });
for (const name of ['src', 'test', 'dist']) await rm(join(out, name), { recursive: true, force: true });
for (const name of ['src', 'test', 'package.json', 'package-lock.json', 'tsconfig.json']) await cp(join(here, name), join(out, name), { recursive: true });

const lock = await readFile(join(out, 'package-lock.json'), 'utf8');
const installed = await readFile(join(out, 'installed'), 'utf8').catch(() => '');
if (installed !== lock) {
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], { cwd: out, stdio: ['ignore', 'ignore', 'inherit'] });
  await writeFile(join(out, 'installed'), lock);
}
execFileSync(process.execPath, [join(out, 'node_modules/typescript/bin/tsc'), '--project', out], { stdio: 'inherit' });
const tests = (await readdir(join(out, 'dist/test'))).filter((name) => name.endsWith('.test.js'));
const files = tests.map((name) => join(out, 'dist/test', name));
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...files], { cwd: out, stdio: 'inherit' });
process.exit(status ?? 1);
