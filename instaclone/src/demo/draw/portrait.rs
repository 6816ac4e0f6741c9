//! Avatars: head and shoulders, in a few flat colours.

use std::f32::consts::TAU;

use tiny_skia::{BlendMode, Color, PathBuilder};

use super::canvas::{Canvas, circle, ellipse, faded, hex, mix, shade};
use super::random::Random;

const SKINS: [u32; 8] = [0xF6D3B8, 0xEBB891, 0xD99B6C, 0xC07F52, 0xA0633C, 0x7C4A2D, 0x5A3420, 0xF1C6A5];
const HAIR: [u32; 8] = [0x1B1512, 0x2E1F18, 0x4A2E1C, 0x7A4A25, 0xB5803E, 0xA3431F, 0x8E8B88, 0x211C2B];
const GROUND: [(u32, u32); 9] = [
    (0xF6C9A0, 0xE88D72),
    (0xA9D6CF, 0x4F9EA3),
    (0xF4D97E, 0xE9A23B),
    (0xC9B6E4, 0x8A6FB8),
    (0xF3B4B4, 0xCF6B7E),
    (0xB9D3EE, 0x5E8FC4),
    (0xD3E2B0, 0x86A860),
    (0xEADCCB, 0xB99A7C),
    (0x9FB4C0, 0x4A6272),
];

/// A hairstyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hair {
    Short,
    Long,
    Bun,
    Curls,
    Bob,
    Bald,
    Scarf,
}

/// A portrait. `skin` is an index into a list from light to dark.
pub fn portrait(canvas: &mut Canvas, hair: Hair, skin: usize, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let u = w / 100.0;
    let (light, deep) = *random.pick(&GROUND);
    canvas.sky(&[(0.0, hex(light)), (1.0, hex(deep))]);
    canvas.glow((w * 0.3, h * 0.2), w * 0.8, faded(Color::WHITE, 0.35), BlendMode::SoftLight);
    let skin = hex(SKINS[skin % SKINS.len()]);
    let tint = hex(HAIR[random.below(if skin.red() < 0.7 { 3 } else { HAIR.len() })]);
    let cloth =
        hex(*random.pick(&[0x2F4B6E, 0xB5483A, 0x3C6E5A, 0xE9E3D6, 0x5A3E6B, 0x20262E, 0xD8913C, 0x8AA6B5]));
    let x = 50.0 * u;
    let wrap = hex(*random.pick(&[0x3C6E71, 0xB56576, 0x6D597A, 0xE0A458, 0x355070]));
    match hair {
        Hair::Long => canvas.fill(blob((x, 50.0 * u), 25.0 * u, 40.0 * u), shade(tint, -0.12)),
        Hair::Bob => canvas.fill(blob((x, 45.0 * u), 24.0 * u, 26.0 * u), shade(tint, -0.12)),
        Hair::Scarf => canvas.fill(blob((x, 50.0 * u), 25.0 * u, 34.0 * u), shade(wrap, -0.15)),
        Hair::Curls => {
            for n in 0..26 {
                let turn = n as f32 / 26.0 * TAU;
                canvas.fill(
                    circle(x + turn.cos() * 19.0 * u, 36.0 * u + turn.sin() * 19.0 * u, 8.5 * u),
                    shade(tint, random.within(-0.12, 0.06)),
                );
            }
            canvas.fill(circle(x, 34.0 * u, 21.0 * u), tint);
        }
        Hair::Bun => canvas.fill(circle(x + 3.0 * u, 13.0 * u, 9.0 * u), tint),
        Hair::Short | Hair::Bald => {}
    }
    let mut shoulders = PathBuilder::new();
    shoulders.move_to(8.0 * u, 101.0 * u);
    shoulders.cubic_to(10.0 * u, 76.0 * u, 30.0 * u, 74.0 * u, 42.0 * u, 70.0 * u);
    shoulders.line_to(58.0 * u, 70.0 * u);
    shoulders.cubic_to(70.0 * u, 74.0 * u, 90.0 * u, 76.0 * u, 92.0 * u, 101.0 * u);
    shoulders.close();
    canvas.fill_down(shoulders.finish(), (70.0 * u, shade(cloth, 0.1)), (100.0 * u, shade(cloth, -0.2)));
    canvas.fill(blob((x, 66.0 * u), 8.0 * u, 12.5 * u), shade(skin, -0.16));
    canvas.fill(ellipse(x, 71.5 * u, 11.0 * u, 5.5 * u), shade(skin, -0.10));
    for side in [-1.0, 1.0] {
        if hair != Hair::Scarf && hair != Hair::Long && hair != Hair::Bob {
            canvas.fill(ellipse(x + side * 17.0 * u, 43.0 * u, 3.4 * u, 5.0 * u), shade(skin, -0.12));
        }
    }
    let face = blob((x, 41.0 * u), 17.0 * u, 22.0 * u);
    canvas.fill_along(
        face,
        (x - 17.0 * u, 25.0 * u, shade(skin, 0.14)),
        (x + 17.0 * u, 62.0 * u, shade(skin, -0.12)),
    );
    fringe(canvas, hair, (x, u), if hair == Hair::Scarf { wrap } else { tint }, random);
    features(canvas, hair, (x, u), (skin, tint), random);
    if hair == Hair::Scarf {
        canvas.fill(blob((x, 70.0 * u), 17.0 * u, 8.0 * u), wrap);
    }
}

fn fringe(canvas: &mut Canvas, hair: Hair, (x, u): (f32, f32), tint: Color, random: &mut Random) {
    let part = if random.chance(0.5) { -1.0 } else { 1.0 };
    let mut top = PathBuilder::new();
    let (low, dip) = match hair {
        Hair::Bald => return,
        Hair::Scarf => (52.0, 27.0),
        Hair::Long | Hair::Bob => (50.0, 28.0),
        Hair::Short | Hair::Bun | Hair::Curls => (39.0, 26.0),
    };
    top.move_to(x - 18.5 * u, low * u);
    top.cubic_to(x - 22.0 * u, 10.0 * u, x + 22.0 * u, 10.0 * u, x + 18.5 * u, low * u);
    top.cubic_to(x + 16.5 * u, 34.0 * u, x + 13.0 * u, dip * u, x + part * 5.0 * u, (dip + 1.0) * u);
    top.cubic_to(x - 10.0 * u, (dip + 2.0) * u, x - 16.0 * u, 33.0 * u, x - 18.5 * u, low * u);
    top.close();
    canvas.fill_down(top.finish(), (14.0 * u, shade(tint, 0.07)), (50.0 * u, shade(tint, -0.08)));
}

fn features(
    canvas: &mut Canvas,
    hair: Hair,
    (x, u): (f32, f32),
    (skin, tint): (Color, Color),
    random: &mut Random,
) {
    let ink = mix(hex(0x23160F), tint, 0.2);
    let beard = matches!(hair, Hair::Short | Hair::Bald) && random.chance(0.45);
    if beard {
        let mut path = PathBuilder::new();
        path.move_to(x - 16.4 * u, 46.0 * u);
        path.cubic_to(x - 15.0 * u, 70.0 * u, x + 15.0 * u, 70.0 * u, x + 16.4 * u, 46.0 * u);
        path.cubic_to(x + 12.0 * u, 54.0 * u, x + 6.0 * u, 49.5 * u, x, 49.5 * u);
        path.cubic_to(x - 6.0 * u, 49.5 * u, x - 12.0 * u, 54.0 * u, x - 16.4 * u, 46.0 * u);
        path.close();
        canvas.fill(path.finish(), faded(tint, 0.92));
    }
    for side in [-1.0, 1.0] {
        canvas.fill(ellipse(x + side * 7.0 * u, 42.0 * u, 1.5 * u, 1.9 * u), ink);
        let mut brow = PathBuilder::new();
        brow.move_to(x + side * 4.2 * u, 37.6 * u);
        brow.quad_to(x + side * 7.4 * u, 35.4 * u, x + side * 10.4 * u, 37.8 * u);
        canvas.stroke(brow.finish(), 1.2 * u, faded(ink, 0.85));
        canvas.fill(circle(x + side * 10.5 * u, 49.0 * u, 3.6 * u), faded(hex(0xE2574C), 0.13));
    }
    let mut nose = PathBuilder::new();
    nose.move_to(x + 0.6 * u, 43.0 * u);
    nose.quad_to(x + 2.6 * u, 48.2 * u, x - 0.6 * u, 48.6 * u);
    canvas.stroke(nose.finish(), 1.0 * u, shade(skin, -0.34));
    let mut mouth = PathBuilder::new();
    let smile = random.within(2.2, 4.2);
    mouth.move_to(x - 5.0 * u, 53.4 * u);
    mouth.quad_to(x, (53.4 + smile) * u, x + 5.0 * u, 53.4 * u);
    canvas.stroke(
        mouth.finish(),
        1.3 * u,
        if beard { hex(0xD98A7A) } else { mix(hex(0x9C3B36), skin, 0.15) },
    );
    if random.chance(0.28) {
        for side in [-1.0, 1.0] {
            canvas.stroke(circle(x + side * 7.0 * u, 42.2 * u, 4.9 * u), 0.9 * u, ink);
        }
        canvas.stroke(super::canvas::line(&[(x - 2.2 * u, 41.6 * u), (x + 2.2 * u, 41.6 * u)]), 0.9 * u, ink);
    }
}

/// A rounded form, fuller than an ellipse.
fn blob((x, y): (f32, f32), across: f32, down: f32) -> Option<tiny_skia::Path> {
    let mut path = PathBuilder::new();
    let (a, d) = (across * 0.68, down * 0.62);
    path.move_to(x, y - down);
    path.cubic_to(x + a, y - down, x + across, y - d, x + across, y);
    path.cubic_to(x + across, y + d, x + a, y + down, x, y + down);
    path.cubic_to(x - a, y + down, x - across, y + d, x - across, y);
    path.cubic_to(x - across, y - d, x - a, y - down, x, y - down);
    path.close();
    path.finish()
}
