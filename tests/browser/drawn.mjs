// Photos drawn on the spot: hills under an evening sky, each number another one, as PNG files.

import { deflateSync } from 'node:zlib';

const mix = (from, to, part) => from.map((value, index) => value + (to[index] - value) * part);

function hsl(hue, saturation, light) {
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return 255 * (light - saturation * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

// The colour of each point, from the photo's number alone.
function scene(number) {
  const hue = (number * 67) % 360;
  const sky = [hsl(hue, 0.5, 0.42), hsl((hue + 40) % 360, 0.8, 0.82)];
  const sun = { x: 0.2 + ((number * 37) % 60) / 100, y: 0.3 + ((number * 23) % 20) / 100, size: 0.06 + (number % 5) / 60 };
  const hills = [0, 1, 2, 3].map((depth) => ({
    colour: hsl((hue + 150 + depth * 9) % 360, 0.32, 0.5 - depth * 0.11),
    edge: (x) => 0.52 + depth * 0.12 + 0.06 * Math.sin(x * (5 - depth) + number + depth * 2.1)
      + 0.02 * Math.sin(x * 13 + number * 3 + depth),
  }));
  return (x, y) => {
    const hill = hills.findLast((one) => y > one.edge(x));
    if (hill) return mix(hill.colour, [0, 0, 0], Math.min(0.35, (y - hill.edge(x)) * 0.7));
    const glow = Math.max(0, 1 - Math.hypot(x - sun.x, y - sun.y) / sun.size);
    return glow > 0 ? [255, 244, 214] : mix(sky[0], sky[1], Math.min(1, y / 0.6));
  };
}

function chunk(type, content) {
  const body = Buffer.concat([Buffer.from(type), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, sum]);
}

// `zlib.crc32` came with Node 20.15 only.
function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (0xedb88320 & -(value & 1));
  }
  return ~value >>> 0;
}

// A photo of this number, as a PNG file.
export function png(number, width = 600, height = width) {
  const colour = scene(number);
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0, at = 0; y < height; y += 1) {
    at += 1; // The row's filter: none.
    for (let x = 0; x < width; x += 1) {
      for (const part of colour(x / width, y / height)) rows[at++] = part;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const pixels = deflateSync(rows, { level: 3 });
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

// The same, as a file to choose in a form.
export const photoFile = (number, width, height) => ({
  name: `photo-${number}.png`, mimeType: 'image/png', buffer: png(number, width, height),
});
