// The crops of a manifest of `breakwater batch`, made by sharp: as many at once as there are cores, one thread each.
//   node crops.mjs FOLDER OUT            node crops.mjs --make FOLDER COUNT
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const sharp = createRequire(new URL('../sharp/package.json', import.meta.url))('sharp');
sharp.cache(false);
const shipped = ['astronaut.png', 'camera.png', 'chelsea.png', 'coffee.png', 'china.jpg'];
const VARIANTS = 8;

/** Photographs of 2400 pixels: those that ship with the project, enlarged, in several hues. */
async function make(folder, count) {
  await mkdir(folder, { recursive: true });
  const name = (index) => join(folder, `p${String(index).padStart(4, '0')}.jpg`);
  const distinct = shipped.length * VARIANTS;
  for (let index = 0; index < count; index += 1) {
    if (index >= distinct) {
      await copyFile(name(index % distinct), name(index));
      continue;
    }
    const source = new URL(`../../tests/images/${shipped[index % shipped.length]}`, import.meta.url).pathname;
    const hue = 45 * Math.floor(index / shipped.length);
    await sharp(source).resize({ width: 2400 }).toColourspace('srgb').modulate({ hue }).jpeg({ quality: 90 }).toFile(name(index));
  }
}

async function crop(folder, out) {
  sharp.concurrency(1);
  const { items } = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'));
  await mkdir(join(out, 'sharp'), { recursive: true });
  const waiting = items.values();
  const work = async () => {
    for (const { image_path, crop: { x: left, y: top, width, height }, output } of waiting) {
      const picture = sharp(join(folder, image_path)).autoOrient().extract({ left, top, width, height });
      await picture.resize(output.width, output.height).jpeg({ quality: 80 }).toFile(join(out, 'sharp', image_path));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

const [first, second, third] = process.argv.slice(2);
await (first === '--make' ? make(second, Number(third)) : crop(first, second));
