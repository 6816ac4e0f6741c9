//! Flat graphics: tiles, cut-out shapes, leaves, stairs and arches.

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, TAU};

use tiny_skia::{BlendMode, Color, PathBuilder};

use super::canvas::{Canvas, circle, ellipse, faded, hex, line, mix, petal, polygon, rect, shade};
use super::random::Random;

const SETS: [[u32; 5]; 8] = [
    [0xF4EBDD, 0x1F4E79, 0x4A86B8, 0xE2A94B, 0x17324D],
    [0xF6E7D3, 0xC65D3B, 0x2E6F68, 0xEBB35A, 0x4A2A28],
    [0xEFE9DC, 0x2F5D50, 0x8FB08C, 0xD98E73, 0x1E3430],
    [0xF7EDE2, 0x84577C, 0xE8A0A0, 0xF2C879, 0x3A2A4A],
    [0xEAF0EE, 0x2A7F8E, 0x9CCFC8, 0xF08A5D, 0x14404A],
    [0xFBF3E4, 0xB4443C, 0xE9A23B, 0x3E5C76, 0x2B2D42],
    [0x26323C, 0xE3B778, 0xC96E4A, 0x86A69A, 0xF4E9D8],
    [0xF3E3DA, 0xA8553F, 0xD99A7A, 0x7C8F6B, 0x4F3A34],
];

/// Glazed tiles on a wall, four to a pattern.
pub fn tiles(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let set = random.pick(&SETS).map(hex);
    let across = 4 + random.below(3);
    let side = w / across as f32;
    let kind = random.below(4);
    let (spikes, ring) = (8 + 4 * random.below(3), random.within(0.26, 0.36));
    canvas.sky(&[(0.0, set[0]), (1.0, shade(set[0], -0.06))]);
    for row in 0..=(h / side) as usize {
        for column in 0..across {
            let (x, y) = ((column as f32 + 0.5) * side, (row as f32 + 0.5) * side);
            let glaze = random.within(-0.07, 0.07);
            let color = |n: usize| shade(set[n], glaze);
            canvas.fill(rect(x - side / 2.0, y - side / 2.0, side, side), color(0));
            for corner in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
                let (cx, cy) = (x + corner.0 * side / 2.0, y + corner.1 * side / 2.0);
                let inside = |radius: f32| {
                    let (ex, ey) = (cx - corner.0 * radius, cy - corner.1 * radius);
                    let mut path = PathBuilder::new();
                    path.move_to(cx, cy);
                    path.line_to(ex, cy);
                    path.cubic_to(
                        ex,
                        cy - corner.1 * radius * 0.55,
                        cx - corner.0 * radius * 0.55,
                        ey,
                        cx,
                        ey,
                    );
                    path.close();
                    path.finish()
                };
                canvas.fill(inside(side * 0.40), color(1));
                canvas.fill(inside(side * 0.31), color(0));
                canvas.fill(inside(side * 0.24), color(if kind.is_multiple_of(2) { 2 } else { 3 }));
                canvas.fill(inside(side * 0.11), color(4));
            }
            match kind {
                0 | 1 => {
                    for n in 0..spikes {
                        let turn = n as f32 / spikes as f32 * TAU;
                        canvas.fill(
                            petal(x, y, side * ring, side * 1.05 * ring / spikes as f32 * 2.2, turn),
                            color(if n % 2 == 0 { 1 } else { 2 }),
                        );
                    }
                    canvas.fill(circle(x, y, side * 0.085), color(3));
                }
                2 => {
                    let diamond = |r: f32| polygon(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)]);
                    for (radius, n) in [(0.36, 1), (0.29, 0), (0.24, 3), (0.13, 4)] {
                        canvas.fill(diamond(side * radius), color(n));
                    }
                }
                _ => {
                    for (radius, n) in [(0.30, 2), (0.25, 0), (0.20, 1), (0.10, 3)] {
                        canvas.fill(circle(x, y, side * radius), color(n));
                    }
                    for n in 0..4 {
                        canvas.fill(petal(x, y, side * 0.42, side * 0.06, n as f32 * FRAC_PI_2), color(4));
                    }
                }
            }
            canvas.fill_along(
                rect(x - side / 2.0, y - side / 2.0, side, side),
                (x - side / 2.0, y - side / 2.0, faded(Color::WHITE, 0.13)),
                (x + side / 2.0, y + side / 2.0, faded(Color::BLACK, 0.10)),
            );
        }
    }
    for n in 0..=across.max((h / side) as usize + 1) {
        let at = n as f32 * side;
        canvas.stroke(line(&[(at, 0.0), (at, h)]), 5.0, faded(shade(set[0], -0.35), 0.75));
        canvas.stroke(line(&[(0.0, at), (w, at)]), 5.0, faded(shade(set[0], -0.35), 0.75));
    }
    let lit = if random.chance(0.5) { 0.15 } else { 0.85 };
    canvas.glow((w * lit, h * 0.1), w * 1.1, faded(hex(0xFFF1D6), 0.45), BlendMode::SoftLight);
}

/// Shapes cut from paper, in overlapping layers.
pub fn cutouts(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let set = random.pick(&SETS).map(hex);
    let unit = w.min(h);
    canvas.sky(&[(0.0, set[0]), (1.0, shade(set[0], -0.05))]);
    let (columns, rows) = (3, ((h / w * 3.0).round() as usize).max(2));
    let cell = (w / columns as f32, h / rows as f32);
    let ground = |row: usize, column: usize| (row + column * 2) % 5;
    for row in 0..rows {
        for column in 0..columns {
            let color = set[ground(row, column)];
            let (x, y) = (cell.0 * (column as f32 + 0.5), cell.1 * (row as f32 + 0.5));
            canvas.fill(
                rect(x - cell.0 / 2.0 + 10.0, y - cell.1 / 2.0 + 10.0, cell.0 - 20.0, cell.1 - 20.0),
                color,
            );
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let (x, y) = (
                cell.0 * (column as f32 + 0.5) + random.within(-24.0, 24.0),
                cell.1 * (row as f32 + 0.5) + random.within(-24.0, 24.0),
            );
            let other = 1 + random.below(4);
            let color = set[(ground(row, column) + other) % 5];
            let size = unit * random.within(0.11, 0.16);
            let lean = random.within(-0.8, 0.8) - 1.57;
            let drop = |canvas: &mut Canvas, path: Option<tiny_skia::Path>, color: Color| {
                let under = path
                    .clone()
                    .and_then(|path| path.transform(tiny_skia::Transform::from_translate(5.0, 8.0)));
                canvas.fill(under, faded(Color::BLACK, 0.15));
                canvas.fill(path, color);
            };
            match random.below(4) {
                0 => {
                    for n in 0..7 {
                        let part = n as f32 / 6.0;
                        let at = (
                            x - lean.cos() * size * (1.0 - 2.0 * part),
                            y - lean.sin() * size * (1.0 - 2.0 * part),
                        );
                        for side in [-1.0, 1.0] {
                            drop(
                                canvas,
                                petal(
                                    at.0,
                                    at.1,
                                    size * (0.85 - 0.5 * part),
                                    size * 0.12,
                                    lean + side * 0.95,
                                ),
                                color,
                            );
                        }
                    }
                }
                1 => {
                    let mut path = PathBuilder::new();
                    let radii: Vec<f32> = (0..8).map(|_| size * random.within(0.65, 1.15)).collect();
                    let at =
                        |n: usize, turn: f32| (x + turn.cos() * radii[n % 8], y + turn.sin() * radii[n % 8]);
                    let start = at(0, 0.0);
                    path.move_to(start.0, start.1);
                    for n in 0..8 {
                        let (from, to) = (n as f32 * FRAC_PI_4, (n + 1) as f32 * FRAC_PI_4);
                        let bulge = (radii[n % 8] + radii[(n + 1) % 8]) * 0.57;
                        let middle = (from + to) / 2.0;
                        let end = at(n + 1, to);
                        path.quad_to(x + middle.cos() * bulge, y + middle.sin() * bulge, end.0, end.1);
                    }
                    path.close();
                    drop(canvas, path.finish(), color);
                }
                2 => {
                    drop(canvas, circle(x, y, size), color);
                    drop(canvas, circle(x, y, size * 0.52), set[ground(row, column)]);
                }
                _ => {
                    let mut path = PathBuilder::new();
                    path.move_to(x - size, y + size);
                    path.line_to(x - size, y);
                    path.cubic_to(x - size, y - size * 1.35, x + size, y - size * 1.35, x + size, y);
                    path.line_to(x + size, y + size);
                    path.close();
                    drop(canvas, path.finish(), color);
                }
            }
        }
    }
}

/// Large leaves in front of smaller ones, lit from above.
pub fn leaves(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let greens = random
        .pick(&[
            [0x0C2B22_u32, 0x1F5A3E, 0x4F9A5F, 0xB9D98A],
            [0x10262E, 0x1E5560, 0x4A9A94, 0xC5E3C8],
            [0x1A2412, 0x4A6420, 0x8FA63E, 0xE6E0A0],
            [0x231A2E, 0x5A3550, 0xA8607A, 0xF0B8A8],
            [0x2A1A10, 0x8A4A1E, 0xD98A3A, 0xF7D58A],
        ])
        .map(hex);
    canvas.sky(&[(0.0, shade(greens[0], 0.06)), (1.0, shade(greens[0], -0.4))]);
    canvas.glow((w * 0.7, 0.0), w * 1.1, faded(greens[2], 0.30), BlendMode::Screen);
    for layer in 0..4 {
        let near = layer as f32 / 3.0;
        let count = 24 - layer * 5;
        for _ in 0..count {
            let (x, y) = (random.within(-0.15, 1.15) * w, random.within(-0.1, 1.2) * h);
            let length = w * (0.22 + 0.25 * near) * random.within(0.8, 1.25);
            let turn = -1.57 + random.within(-1.3, 1.3);
            let color = mix(
                mix(greens[0], greens[1], 0.35 + 0.65 * near),
                greens[2],
                random.unit() * (0.25 + 0.6 * near),
            );
            frond(canvas, (x, y), length, turn, color, greens[3], near);
        }
        if layer < 2 {
            let soft = canvas.blurred(2 - layer as u32);
            canvas.overlay(&soft, 1.0, BlendMode::SourceOver);
        }
    }
    canvas.glow((w * 0.72, -h * 0.05), w * 1.2, faded(greens[3], 0.42), BlendMode::SoftLight);
}

fn frond(
    canvas: &mut Canvas,
    (x, y): (f32, f32),
    length: f32,
    turn: f32,
    color: Color,
    light: Color,
    near: f32,
) {
    let wide = length * 0.24;
    let end = (x + turn.cos() * length, y + turn.sin() * length);
    canvas.fill(petal(x + 10.0, y + 16.0, length, wide, turn), faded(Color::BLACK, 0.22));
    let (nx, ny) = (-turn.sin() * wide, turn.cos() * wide);
    canvas.fill_along(
        petal(x, y, length, wide, turn),
        (x + nx, y + ny, shade(color, -0.42)),
        (x - nx, y - ny, mix(color, light, 0.40)),
    );
    let vein = faded(mix(color, light, 0.65), 0.30 + 0.35 * near);
    canvas.stroke(line(&[(x, y), end]), length * 0.011, vein);
    for n in 1..9 {
        let part = n as f32 / 9.5;
        let at = (x + (end.0 - x) * part, y + (end.1 - y) * part);
        let reach = wide * 0.82 * (part * std::f32::consts::PI).sin();
        for side in [-1.0_f32, 1.0] {
            let go = turn + side * 0.85;
            canvas.stroke(
                line(&[at, (at.0 + go.cos() * reach, at.1 + go.sin() * reach)]),
                length * 0.0045,
                vein,
            );
        }
    }
}

/// Walls, an arch and stairs in hard light; returns the colour of the walls.
pub fn stairs(canvas: &mut Canvas, random: &mut Random) -> &'static str {
    let (w, h) = (canvas.width, canvas.height);
    let (name, wall, sky, second) = *random.pick(&[
        ("pink", 0xE79A8E_u32, [0x3F86B8_u32, 0x9CCBE0], 0xF3C3A6_u32),
        ("ochre", 0xDFA04E, [0x2F6F9F, 0xA6D0DC], 0xF0CF8E),
        ("white", 0xEFE8DC, [0x2C6FB0, 0x8FC1E6], 0xF8F4EA),
        ("terracotta", 0xC66A45, [0x5A9DB8, 0xC7E0DC], 0xE59A6C),
        ("lilac", 0xB9A2CC, [0x6A8FC4, 0xE2CFD8], 0xE8C9D0),
        ("mint", 0x9CC5AE, [0x4B8FA6, 0xD8E6DA], 0xF0E2C4),
    ]);
    let (wall, second) = (hex(wall), hex(second));
    canvas.sky(&[(0.0, hex(sky[0])), (0.75, hex(sky[1])), (1.0, hex(sky[1]))]);
    let flip = random.chance(0.5);
    let fx = |x: f32| if flip { w - x * w } else { x * w };
    let quad =
        |points: &[(f32, f32)]| polygon(&points.iter().map(|(x, y)| (fx(*x), y * h)).collect::<Vec<_>>());
    let (back, edge) = (random.within(0.16, 0.28), random.within(0.56, 0.64));
    canvas.fill_down(
        quad(&[(0.0, back), (edge, back), (edge, 1.0), (0.0, 1.0)]),
        (back * h, shade(wall, 0.10)),
        (h, shade(wall, -0.06)),
    );
    let side_top = random.within(0.02, 0.10);
    canvas.fill_down(
        quad(&[(edge, side_top), (1.0, side_top - 0.02), (1.0, 1.0), (edge, 1.0)]),
        (0.0, shade(second, 0.12)),
        (h, shade(second, -0.10)),
    );
    canvas.fill_down(
        quad(&[(edge - 0.16, back), (edge, back), (edge, 1.0), (edge - 0.02, 1.0)]),
        (back * h, faded(shade(wall, -0.45), 0.50)),
        (h, faded(shade(wall, -0.45), 0.62)),
    );
    let (ax, ay, wide) = (random.within(0.12, 0.20), random.within(0.44, 0.50), 0.11);
    let arch = |grow: f32, shift: f32| {
        let (l, r, top) = (fx(ax - wide - grow + shift), fx(ax + wide + grow + shift), (ay - grow * 0.6) * h);
        let rise = (r - l).abs() * 0.66;
        let mut path = PathBuilder::new();
        path.move_to(l, 0.80 * h);
        path.line_to(l, top);
        path.cubic_to(l, top - rise, r, top - rise, r, top);
        path.line_to(r, 0.80 * h);
        path.close();
        path.finish()
    };
    canvas.fill(arch(0.022, 0.0), shade(wall, 0.35));
    canvas.fill_down(arch(0.0, 0.0), (ay * h * 0.8, shade(wall, -0.78)), (0.8 * h, shade(wall, -0.55)));
    let steps = 7;
    for step in 0..steps {
        let part = step as f32 / steps as f32;
        let (left, top) = (0.28 + part * (edge - 0.20), 0.94 - part * 0.36);
        let lit = mix(second, wall, 0.35);
        canvas
            .fill(quad(&[(left, top), (1.0, top), (1.0, 1.0), (left, 1.0)]), shade(lit, -0.22 + 0.05 * part));
        canvas.fill(
            quad(&[(left, top), (1.0, top), (1.0, top + 0.022), (left + 0.02, top + 0.022)]),
            shade(lit, 0.40),
        );
    }
    canvas.fill(quad(&[(0.0, 0.80), (0.28, 0.94), (0.28, 1.0), (0.0, 1.0)]), shade(wall, -0.34));
    canvas.fill(quad(&[(0.0, 0.80), (ax - wide, 0.80), (0.28, 0.94), (0.0, 1.0)]), shade(wall, -0.26));
    let across = random.within(0.55, 0.80);
    canvas.fill(
        quad(&[(edge, across), (1.0, across - 0.30), (1.0, 1.0), (edge, 1.0)]),
        faded(shade(second, -0.75), 0.26),
    );
    let (px, py) = (fx(0.83), 0.30 * h);
    canvas.fill(rect(px - w * 0.055, py, w * 0.11, h * 0.13), shade(second, -0.55));
    canvas.fill(rect(px - w * 0.048, py + h * 0.008, w * 0.043, h * 0.114), hex(0x3A5A6A));
    canvas.fill(rect(px + w * 0.005, py + h * 0.008, w * 0.043, h * 0.114), hex(0x4A6C7A));
    canvas.fill(rect(px - w * 0.065, py + h * 0.13, w * 0.13, h * 0.012), shade(second, 0.3));
    for _ in 0..26 {
        let at = (px + random.within(-0.06, 0.06) * w, py + h * 0.13 - random.unit() * h * 0.03);
        canvas.fill(
            circle(at.0, at.1, random.within(6.0, 15.0)),
            shade(hex(0x4E7A48), random.within(-0.3, 0.2)),
        );
        if random.chance(0.45) {
            canvas.fill(circle(at.0, at.1 - 5.0, 6.0), hex(*random.pick(&[0xE85A4F, 0xF7D0D8, 0xF2B84B])));
        }
    }
    canvas.glow((fx(0.95), 0.0), w, faded(hex(0xFFEFCB), 0.45), BlendMode::SoftLight);
    canvas.fill(ellipse(fx(0.3), h * 1.02, w * 0.5, h * 0.05), faded(Color::BLACK, 0.08));
    name
}
