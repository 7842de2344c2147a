// The same JPEG crops at fixed rectangles by Breakwater and by npm sharp, one thread each, in turns.
//
//   npm ci && node run.mjs PATH/TO/crop_jpeg [ROUNDS] [COUNT]
//
// Each round runs COUNT crops of a case with one, then with the other, so that a change of the machine's load meets both. Printed are the
// median of the rounds' processor milliseconds an image, with the lowest and the highest round, and the ratio of the medians:
// above 1 Breakwater needs less.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.env.UV_THREADPOOL_SIZE = '1';
const { default: sharp } = await import('sharp');
sharp.concurrency(1);
sharp.cache(false);

const [program, rounds = '7', count = '60'] = process.argv.slice(2);
if (!program) {
  console.error('usage: node run.mjs PATH/TO/crop_jpeg [ROUNDS] [COUNT]');
  process.exit(2);
}

const photograph = fileURLToPath(new URL('../../tests/images/china.jpg', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'crop-jpeg-'));
const large = join(folder, '1920x1280.jpg');
await sharp(photograph).resize(1920, 1280, { fit: 'cover' }).jpeg({ quality: 85 }).toFile(large);

const cases = [
  { name: '640x427, a 320x320 square as it is', file: photograph, crop: [160, 50, 320, 320], out: [320, 320] },
  { name: '1920x1280, a 960x640 half as it is', file: large, crop: [240, 160, 960, 640], out: [960, 640] },
  { name: '1920x1280, a 960x640 half to 400x267', file: large, crop: [240, 160, 960, 640], out: [400, 267] },
  { name: '1920x1280, 4:6 of full height to 400x600', file: large, crop: [533, 0, 853, 1280], out: [400, 600] },
  { name: '1920x1280, the whole to 480x320', file: large, crop: [0, 0, 1920, 1280], out: [480, 320] },
];
const quality = 80;

function ours({ file, crop, out }) {
  const answer = execFileSync(program, [file, ...crop, ...out, quality, count].map(String), { encoding: 'utf8' });
  return JSON.parse(answer);
}

async function theirs({ file, crop: [left, top, width, height], out: [outWidth, outHeight] }) {
  const data = readFileSync(file);
  const once = () =>
    sharp(data)
      .extract({ left, top, width, height })
      .resize(outWidth, outHeight, { fit: 'fill' })
      .jpeg({ quality })
      .toBuffer();
  for (let i = 0; i < Number(count) / 10; i += 1) await once();
  const before = process.cpuUsage();
  let bytes = 0;
  for (let i = 0; i < Number(count); i += 1) bytes = (await once()).length;
  const used = process.cpuUsage(before);
  return { cpu_ms: (used.user + used.system) / 1000 / Number(count), bytes };
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const spread = (values) => `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;

console.log(`${cpus()[0].model}, node ${process.version}, sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`);
console.log(`${rounds} rounds of ${count} crops, quality ${quality}; processor ms an image: median (lowest to highest round)\n`);
console.log('| crop | Breakwater | sharp | sharp / Breakwater | stages (wall): decode, resize, encode | bytes, ours and theirs |');
console.log('|---|---|---|---|---|---|');
for (const one of cases) {
  const [mine, sharps] = [[], []];
  for (let round = 0; round < Number(rounds); round += 1) {
    mine.push(ours(one));
    sharps.push(await theirs(one));
  }
  const cpu = (runs) => runs.map((run) => run.cpu_ms);
  const ratio = median(cpu(sharps)) / median(cpu(mine));
  const stages = ['decode_ms', 'resize_ms', 'encode_ms'].map((stage) => median(mine.map((run) => run[stage])).toFixed(2)).join(', ');
  const row = [one.name, spread(cpu(mine)), spread(cpu(sharps)), ratio.toFixed(2), stages, `${mine[0].bytes}, ${sharps[0].bytes}`];
  console.log(`| ${row.join(' | ')} |`);
}
rmSync(folder, { recursive: true });
