//! Still lifes on a table: a cup, a bowl of fruit, flowers in a vase.

use std::f32::consts::TAU;

use tiny_skia::{BlendMode, Color, PathBuilder};

use super::canvas::{Canvas, circle, ellipse, faded, hex, line, mix, petal, polygon, shade};
use super::random::Random;

/// Wall, table, accent.
const ROOMS: [[u32; 3]; 7] = [
    [0xE7DCCB, 0xB98B62, 0x9C4A36],
    [0xC9D3CB, 0x8A6A4C, 0xD08A3C],
    [0xD9B8A6, 0x7D4B3A, 0x2F5D62],
    [0x3F5654, 0x8C6A4A, 0xE0A458],
    [0xB9C6D4, 0xD8C7B0, 0xB5533C],
    [0xEBD9C0, 0x9A7B5A, 0x5B6E4D],
    [0x47415C, 0x7A5A4E, 0xE8A0A0],
];

/// A wall with light from a window, and a table; returns the height of the table's edge and two colours.
fn room(canvas: &mut Canvas, random: &mut Random) -> (f32, Color, Color) {
    let (w, h) = (canvas.width, canvas.height);
    let [wall, table, accent] = random.pick(&ROOMS).map(hex);
    let edge = h * random.within(0.66, 0.72);
    canvas.sky(&[(0.0, shade(wall, -0.14)), (0.6, wall), (1.0, shade(wall, -0.08))]);
    let from_left = random.chance(0.5);
    let lamp = if from_left { 0.1 } else { 0.9 };
    let mut light = Canvas::new((w / 6.0) as u32, (h / 6.0) as u32);
    let (lw, lh) = (light.width, light.height);
    let lean = if from_left { 0.28 } else { -0.28 };
    let start = if from_left { 0.10 } else { 0.55 };
    for pane in 0..2 {
        for row in 0..2 {
            let (x, y) = (lw * (start + 0.19 * pane as f32), lh * (0.05 + 0.28 * row as f32));
            let (wide, tall, skew) = (lw * 0.165, lh * 0.25, lh * 0.25 * lean);
            let top = x + lean * y;
            let pane =
                polygon(&[(top, y), (top + wide, y), (top + wide + skew, y + tall), (top + skew, y + tall)]);
            light.fill(pane, faded(hex(0xFFF0CF), 0.55));
        }
    }
    canvas.overlay(&light.blurred(1), 0.7, BlendMode::SoftLight);
    canvas.glow((w * lamp, h * 0.1), w * 1.0, faded(hex(0xFFE9C4), 0.42), BlendMode::SoftLight);
    canvas.veil(
        edge,
        h,
        &[(0.0, shade(table, 0.10)), (0.25, table), (1.0, shade(table, -0.38))],
        BlendMode::SourceOver,
    );
    for _ in 0..34 {
        let y = edge + (h - edge) * random.unit();
        let x = random.within(-0.2, 0.9) * w;
        canvas.fill(
            ellipse(x, y, random.within(100.0, 460.0), random.within(0.7, 2.6)),
            faded(shade(table, if random.chance(0.5) { -0.35 } else { 0.25 }), 0.16),
        );
    }
    canvas.veil(
        edge - 26.0,
        edge,
        &[(0.0, faded(Color::BLACK, 0.0)), (1.0, faded(Color::BLACK, 0.13))],
        BlendMode::SourceOver,
    );
    canvas.glow((w * lamp, edge), w * 0.9, faded(hex(0xFFE2B4), 0.35), BlendMode::SoftLight);
    (edge, wall, accent)
}

/// The shadow of an object on the table.
fn shadow(canvas: &mut Canvas, x: f32, y: f32, across: f32, down: f32) {
    let mut soft = Canvas::new((canvas.width / 8.0) as u32, (canvas.height / 8.0) as u32);
    soft.fill(ellipse(x / 8.0, y / 8.0, across / 8.0, down / 8.0), faded(hex(0x1A0E08), 0.62));
    soft.fill(
        ellipse((x + across * 0.45) / 8.0, y / 8.0, across / 7.0, down / 9.0),
        faded(hex(0x1A0E08), 0.30),
    );
    canvas.overlay(&soft.blurred(2), 1.0, BlendMode::Multiply);
}

/// A bowl of fruit; returns the name of the fruit.
pub fn fruit(canvas: &mut Canvas, random: &mut Random) -> &'static str {
    let (w, h) = (canvas.width, canvas.height);
    let (edge, wall, accent) = room(canvas, random);
    let unit = w.min(h * 1.7) / 1080.0;
    let (x, y) = (w * random.within(0.44, 0.56), edge + (h - edge) * 0.42);
    let (name, body, blush, stem) = *random.pick(&[
        ("oranges", 0xF08A24_u32, 0xFFB347_u32, false),
        ("red apples", 0xB8262B, 0xE8623E, true),
        ("lemons", 0xF2C230, 0xFFE680, false),
        ("pears", 0x9DAA3E, 0xD9C75A, true),
        ("plums", 0x5A2C52, 0x92507F, false),
        ("peaches", 0xE88A5A, 0xF7C08A, false),
        ("green apples", 0x7FA035, 0xC2D46A, true),
    ]);
    shadow(canvas, x, y + 140.0 * unit, 330.0 * unit, 38.0 * unit);
    let places = [
        (-185.0, -70.0),
        (185.0, -74.0),
        (-62.0, -92.0),
        (78.0, -98.0),
        (-120.0, -190.0),
        (18.0, -205.0),
        (138.0, -178.0),
        (-20.0, -290.0),
    ];
    let count = 6 + random.below(3);
    for (dx, dy) in places.iter().take(count) {
        let radius = random.within(92.0, 104.0) * unit;
        let (fx, fy) = (x + (dx + random.within(-12.0, 12.0)) * unit, y + (dy + 40.0) * unit);
        let (base, light) = (mix(hex(body), hex(blush), random.unit() * 0.35), hex(blush));
        let form = match name {
            "lemons" => ellipse(fx, fy, radius * 1.16, radius * 0.86),
            "pears" => pear(fx, fy, radius),
            _ => circle(fx, fy, radius),
        };
        let stops =
            [(0.0, mix(light, Color::WHITE, 0.25)), (0.3, light), (0.62, base), (1.0, shade(base, -0.55))];
        canvas.fill_round(form, (fx - radius * 0.35, fy - radius * 0.42), radius * 1.65, &stops);
        canvas.glow(
            (fx - radius * 0.38, fy - radius * 0.48),
            radius * 0.42,
            faded(Color::WHITE, 0.48),
            BlendMode::Screen,
        );
        if stem {
            let top = fy - radius * if name == "pears" { 1.42 } else { 0.86 };
            canvas.stroke(
                line(&[(fx, top + 8.0), (fx + 9.0 * unit, top - 24.0 * unit)]),
                7.0 * unit,
                hex(0x4A3320),
            );
        }
    }
    let glaze = mix(accent, wall, 0.1);
    let (top, half, deep) = (y - 12.0 * unit, 318.0 * unit, 165.0 * unit);
    let mut bowl = PathBuilder::new();
    bowl.move_to(x - half, top);
    bowl.cubic_to(x - half * 0.9, top + deep * 0.9, x - half * 0.5, top + deep, x - half * 0.34, top + deep);
    bowl.line_to(x + half * 0.34, top + deep);
    bowl.cubic_to(x + half * 0.5, top + deep, x + half * 0.9, top + deep * 0.9, x + half, top);
    bowl.quad_to(x, top + 62.0 * unit, x - half, top);
    bowl.close();
    canvas.fill_along(
        bowl.finish(),
        (x - half, top, shade(glaze, 0.22)),
        (x + half, top + deep, shade(glaze, -0.45)),
    );
    let mut rim = PathBuilder::new();
    rim.move_to(x - half, top);
    rim.quad_to(x, top + 62.0 * unit, x + half, top);
    canvas.stroke(rim.finish(), 7.0 * unit, faded(shade(glaze, 0.45), 0.9));
    name
}

fn pear(x: f32, y: f32, radius: f32) -> Option<tiny_skia::Path> {
    let mut path = PathBuilder::new();
    path.move_to(x, y - radius * 1.45);
    path.cubic_to(
        x + radius * 0.55,
        y - radius * 1.45,
        x + radius * 0.45,
        y - radius * 0.6,
        x + radius * 0.85,
        y,
    );
    path.cubic_to(x + radius * 1.2, y + radius * 0.75, x + radius * 0.5, y + radius, x, y + radius * 0.95);
    path.cubic_to(x - radius * 0.5, y + radius, x - radius * 1.2, y + radius * 0.75, x - radius * 0.85, y);
    path.cubic_to(
        x - radius * 0.45,
        y - radius * 0.6,
        x - radius * 0.55,
        y - radius * 1.45,
        x,
        y - radius * 1.45,
    );
    path.close();
    path.finish()
}

/// A cup seen from above; returns what is in it.
pub fn cup(canvas: &mut Canvas, random: &mut Random) -> &'static str {
    let (w, h) = (canvas.width, canvas.height);
    let [cloth, wood, accent] = random.pick(&ROOMS).map(hex);
    let base = if random.chance(0.5) { wood } else { mix(cloth, wood, 0.25) };
    canvas.sky(&[(0.0, shade(base, 0.12)), (1.0, shade(base, -0.22))]);
    let planks = 4 + random.below(3);
    for plank in 0..planks {
        let (left, wide) = (w * plank as f32 / planks as f32, w / planks as f32);
        canvas.fill(
            super::canvas::rect(left, 0.0, wide, h),
            faded(shade(base, random.within(-0.3, 0.3)), 0.20),
        );
        for _ in 0..16 {
            let x = left + wide * random.unit();
            canvas.stroke(
                line(&[(x, -10.0), (x + random.within(-12.0, 12.0), h + 10.0)]),
                random.within(0.8, 2.6),
                faded(shade(base, -0.55), 0.15),
            );
        }
        canvas.stroke(line(&[(left, 0.0), (left, h)]), 3.5, faded(hex(0x1A0E08), 0.38));
    }
    canvas.glow((w * 0.12, h * 0.08), w * 1.15, faded(hex(0xFFE9C4), 0.55), BlendMode::SoftLight);
    let (x, y) = (w * random.within(0.42, 0.58), h * random.within(0.45, 0.55));
    let size = w.min(h) * random.within(0.23, 0.27);
    let china = mix(hex(0xF6F1E8), accent, *random.pick(&[0.0, 0.0, 0.35, 0.85]));
    shadow(canvas, x + size * 0.14, y + size * 0.18, size * 1.5, size * 1.46);
    let plate = size * 1.46;
    canvas.fill_along(
        circle(x, y, plate),
        (x - plate, y - plate, shade(china, 0.35)),
        (x + plate, y + plate, shade(china, -0.28)),
    );
    canvas.fill_along(
        circle(x, y, plate * 0.90),
        (x - plate, y - plate, shade(china, -0.12)),
        (x + plate, y + plate, shade(china, 0.18)),
    );
    shadow(canvas, x + size * 0.12, y + size * 0.14, size * 1.02, size * 1.0);
    let turn = random.within(-0.9, 0.6);
    let (hx, hy) = (x + turn.cos() * size * 1.16, y + turn.sin() * size * 1.16);
    canvas.stroke(circle(hx, hy, size * 0.21), size * 0.11, shade(china, -0.12));
    canvas.fill_along(
        circle(x, y, size),
        (x - size, y - size, shade(china, 0.5)),
        (x + size, y + size, shade(china, -0.32)),
    );
    let (name, dark, light) = *random.pick(&[
        ("a cappuccino", 0x7A4A28_u32, 0xF3DEBB_u32),
        ("black coffee", 0x24130B, 0x6B4226),
        ("green tea", 0x8A9A3A, 0xD4D98A),
        ("black tea", 0x8A3B14, 0xD9853B),
        ("hot chocolate", 0x4A2416, 0x9A6242),
        ("a latte", 0x9A6A42, 0xF7E8CF),
    ]);
    let inner = size * 0.87;
    let (dark, light) = (hex(dark), hex(light));
    canvas.fill_round(
        circle(x, y, inner),
        (x + inner * 0.1, y + inner * 0.15),
        inner * 1.05,
        &[(0.0, mix(dark, light, 0.25)), (0.8, dark), (1.0, shade(dark, -0.45))],
    );
    if name == "a cappuccino" || name == "a latte" {
        let tilt = random.within(-0.5, 0.5);
        for leaf in 0..6 {
            let part = leaf as f32 / 5.0;
            let (reach, up) = (inner * (0.62 - 0.42 * part), inner * (0.42 - 0.88 * part));
            let (cx, cy) = (x - tilt.sin() * up, y + tilt.cos() * up);
            for side in [-1.0, 1.0] {
                canvas.fill(
                    petal(cx, cy, reach, reach * 0.20, tilt - 1.57 + side * (1.15 - 0.25 * part)),
                    faded(light, 0.88),
                );
            }
        }
    } else {
        let mut steam =
            Canvas::noise((w / 6.0) as u32, (h / 6.0) as u32, (4.0, 3.0), 0.42, Color::WHITE, random);
        let mut mask = Canvas::new(steam.width as u32, steam.height as u32);
        mask.glow((x / 6.0, y / 6.0), inner / 4.2, Color::BLACK, BlendMode::SourceOver);
        steam.cut(&mask);
        canvas.overlay(&steam, 0.7, BlendMode::Screen);
        canvas.fill(
            ellipse(x - inner * 0.36, y - inner * 0.42, inner * 0.24, inner * 0.11),
            faded(Color::WHITE, 0.22),
        );
    }
    name
}

/// Flowers in a vase; returns their name.
pub fn flowers(canvas: &mut Canvas, random: &mut Random) -> &'static str {
    let (w, h) = (canvas.width, canvas.height);
    let (edge, _, accent) = room(canvas, random);
    let unit = (h * 1.2).min(w * 1.25) / 1350.0;
    let (x, y) = (w * random.within(0.44, 0.56), edge + (h - edge) * 0.34);
    let (name, outer, inner, petals, heart) = *random.pick(&[
        ("daisies", 0xFBF7EC_u32, 0xFFFFFF_u32, 15, 0xF0B429_u32),
        ("dahlias", 0xC23B5A, 0xF08A8A, 24, 0x8A1F3C),
        ("sunflowers", 0xF0B323, 0xFFD95A, 20, 0x4A2E1A),
        ("cornflowers", 0x4A62C8, 0x8AA0F0, 13, 0x2A2F6B),
        ("peonies", 0xE88FA8, 0xFBD3D6, 26, 0xD96C8A),
        ("anemones", 0x7A3B8F, 0xC08ACF, 9, 0x1C1428),
    ]);
    shadow(canvas, x, y + 8.0, 165.0 * unit, 26.0 * unit);
    let (mouth, leaf) = (y - 300.0 * unit, mix(hex(0x4A6B3A), accent, 0.1));
    let count = 9 + random.below(5);
    let heads: Vec<(f32, f32, f32)> = (0..count)
        .map(|n| {
            let lean = (n as f32 + 0.5) / count as f32 * 2.0 - 1.0;
            let up = random.within(180.0, 440.0) * (1.0 - 0.42 * lean * lean);
            (
                x + lean * random.within(200.0, 300.0) * unit,
                mouth - up * unit,
                random.within(62.0, 96.0) * unit,
            )
        })
        .collect();
    for (fx, fy, _) in &heads {
        let mut stem = PathBuilder::new();
        stem.move_to(x + (fx - x) * 0.12, mouth + 30.0 * unit);
        stem.quad_to(x + (fx - x) * 0.35, (mouth + fy) / 2.0, *fx, *fy);
        canvas.stroke(stem.finish(), 7.0 * unit, shade(leaf, -0.2));
        for _ in 0..2 {
            let part = random.within(0.25, 0.8);
            let at = (x + (fx - x) * (0.2 + 0.7 * part * part), mouth + (fy - mouth) * part);
            canvas.fill(
                petal(at.0, at.1, random.within(70.0, 130.0) * unit, 17.0 * unit, random.within(-3.0, 0.0)),
                shade(leaf, random.within(-0.3, 0.22)),
            );
        }
    }
    for (fx, fy, radius) in heads {
        let rings = if petals > 18 { 3 } else { 1 };
        for ring in 0..rings {
            let size = radius * (1.0 - 0.27 * ring as f32);
            for n in 0..petals {
                let turn = (n as f32 + 0.5 * ring as f32 + random.within(-0.2, 0.2)) / petals as f32 * TAU;
                let color = shade(
                    mix(hex(outer), hex(inner), random.unit() * 0.6 + 0.13 * ring as f32),
                    -0.20 * turn.sin().max(0.0) - 0.06,
                );
                let wide = (size * 4.4 / petals as f32).clamp(size * 0.16, size * 0.5);
                canvas.fill(petal(fx, fy, size, wide, turn), color);
            }
        }
        let middle = radius * if rings == 3 { 0.2 } else { 0.32 };
        canvas.fill_round(
            circle(fx, fy, middle),
            (fx - middle * 0.3, fy - middle * 0.4),
            middle * 1.5,
            &[(0.0, shade(hex(heart), 0.3)), (1.0, shade(hex(heart), -0.3))],
        );
    }
    let mut vase = PathBuilder::new();
    let (half, neck, foot) = (128.0 * unit, 66.0 * unit, 78.0 * unit);
    vase.move_to(x - neck, mouth);
    vase.cubic_to(
        x - neck * 0.8,
        mouth + 70.0 * unit,
        x - half,
        mouth + 110.0 * unit,
        x - half,
        mouth + 180.0 * unit,
    );
    vase.cubic_to(x - half, mouth + 260.0 * unit, x - foot, mouth + 280.0 * unit, x - foot, y);
    vase.quad_to(x, y + 22.0 * unit, x + foot, y);
    vase.cubic_to(
        x + foot,
        mouth + 280.0 * unit,
        x + half,
        mouth + 260.0 * unit,
        x + half,
        mouth + 180.0 * unit,
    );
    vase.cubic_to(x + half, mouth + 110.0 * unit, x + neck * 0.8, mouth + 70.0 * unit, x + neck, mouth);
    vase.quad_to(x, mouth + 20.0 * unit, x - neck, mouth);
    vase.close();
    canvas.fill_along(
        vase.finish(),
        (x - half, mouth, shade(accent, 0.32)),
        (x + half, y, shade(accent, -0.5)),
    );
    canvas.fill(
        petal(x - half * 0.62, mouth + 250.0 * unit, 130.0 * unit, 15.0 * unit, -1.5),
        faded(Color::WHITE, 0.22),
    );
    name
}
