//! Mountains in layers, deserts, forests in mist, meadows, lakes.

use tiny_skia::{BlendMode, Color};

use super::canvas::{Canvas, below, circle, faded, mix, petal, polygon, shade};
use super::light::Light;
use super::random::{Random, Wander};

/// Ridges behind ridges; nearer ones are darker and clearer.
pub fn mountains(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.42, 0.52);
    light.paint_sky(canvas, horizon, random);
    let layers = 5 + random.below(3);
    for layer in 0..layers {
        let near = layer as f32 / (layers - 1) as f32;
        let wander = Wander::new(random, 6, 0.5);
        let base = horizon - h * 0.05 + (h * 0.5) * near.powf(1.25);
        let rise = h * (0.17 - 0.05 * near) * random.within(0.8, 1.25);
        let bends = 1.6 + near * 1.6;
        let line = |x: f32| base - rise * (wander.at(x / w * bends) + 0.15);
        let color = mix(light.haze, light.ground, 0.10 + 0.90 * near.powf(0.9));
        let foot = mix(color, light.haze, 0.60 - 0.45 * near);
        canvas.fill_down(below(w, h, 3.0, line), (base - rise, color), (base + h * 0.22, foot));
        if layer + 1 < layers {
            mist(canvas, base + h * 0.05, h * 0.16, faded(light.haze, 0.40 * (1.0 - near)), random);
        }
    }
}

/// A bank of mist around a height.
pub fn mist(canvas: &mut Canvas, y: f32, height: f32, color: Color, random: &mut Random) {
    let w = canvas.width;
    let (top, bottom) = (y - height, y + height * 1.3);
    let size = ((w / 6.0) as u32, ((bottom - top) / 6.0) as u32);
    let mut layer = Canvas::noise(size.0, size.1, (3.0, 2.5), 0.85, color, random);
    layer.fade(0.0, 0.43, 0.56, 1.0);
    canvas.overlay_band(&layer, (top, bottom), 1.0, BlendMode::SourceOver);
}

/// Dunes with one side in the light and one in the shade.
pub fn desert(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.40, 0.52);
    light.paint_sky(canvas, horizon, random);
    let layers = 4;
    let from_left = light.sun.0 < 0.5;
    for layer in 0..layers {
        let near = (layer as f32 + 0.6) / layers as f32;
        let wander = Wander::new(random, 2, 0.35);
        let base = horizon + h * 0.50 * near.powf(1.5);
        let rise = h * (0.05 + 0.10 * near);
        let crest = |x: f32| base - rise * wander.at(x / w * (2.6 - near));
        let (lit, dark) = (
            mix(light.haze, light.warm, 0.35 + 0.6 * near),
            mix(light.haze, light.ground, 0.25 + 0.6 * near),
        );
        canvas.fill_down(
            below(w, h, 4.0, crest),
            (base - rise, lit),
            (base + h * 0.30, mix(lit, dark, 0.35)),
        );
        // The lee side hangs from the crest and ends in a long sweep.
        let peak = w * random.within(0.25, 0.75);
        let mut sweep: Vec<(f32, f32)> = Vec::new();
        let length = w * random.within(0.5, 0.8);
        for n in 0..=60 {
            let x = if from_left {
                peak - length * 0.3 + n as f32 / 60.0 * length * 1.3
            } else {
                peak + length * 0.3 - n as f32 / 60.0 * length * 1.3
            };
            sweep.push((x, crest(x)));
        }
        for n in (0..=60).rev() {
            let part = n as f32 / 60.0;
            let x = if from_left {
                peak - length * 0.3 + part * length * 1.3
            } else {
                peak + length * 0.3 - part * length * 1.3
            };
            let hang = (part * std::f32::consts::PI).sin() * (0.35 + 0.65 * part);
            sweep.push((
                x + if from_left { hang * 60.0 } else { -hang * 60.0 },
                crest(x) + hang * h * 0.17 * (0.4 + near),
            ));
        }
        canvas.fill_down(polygon(&sweep), (base - rise, dark), (base + h * 0.18, mix(dark, lit, 0.45)));
    }
    for _ in 0..26 {
        let y = h * random.within(0.80, 1.0);
        let wander = Wander::new(random, 2, 0.5);
        let points: Vec<(f32, f32)> =
            (0..=40).map(|n| n as f32 / 40.0 * w).map(|x| (x, y + 9.0 * wander.at(x / w * 5.0))).collect();
        canvas.stroke(super::canvas::line(&points), random.within(1.5, 3.0), faded(light.ground, 0.05));
    }
}

/// Rows of firs, the farther ones almost lost.
pub fn forest(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    light.paint_sky(canvas, h * 0.55, random);
    let rows = 6;
    for row in 0..rows {
        let near = row as f32 / (rows - 1) as f32;
        let base = h * (0.50 + 0.50 * near);
        let color = mix(light.haze, light.ground, 0.12 + 0.88 * near);
        let slope = Wander::new(random, 3, 0.5);
        let ground = |x: f32| base + h * 0.05 * slope.at(x / w * 2.0);
        let size = h * (0.13 + 0.22 * near);
        let mut x = -size * 0.3;
        while x < w + size * 0.3 {
            fir(canvas, x, ground(x) + 8.0, size * random.within(0.55, 1.2), color, random);
            x += size * random.within(0.13, 0.34) * (1.0 + 0.8 * near);
        }
        canvas.fill_down(
            below(w, h, 6.0, ground),
            (base, color),
            (base + h * 0.12, mix(color, light.haze, 0.55 * (1.0 - near))),
        );
        if row + 1 < rows {
            mist(canvas, base + h * 0.02, h * 0.12, faded(light.haze, 0.75 * (1.0 - near * 0.7)), random);
        }
    }
}

fn fir(canvas: &mut Canvas, x: f32, y: f32, size: f32, color: Color, random: &mut Random) {
    let (tiers, half) = (9, size * random.within(0.13, 0.18));
    let mut left = Vec::new();
    let mut right = Vec::new();
    for tier in 0..tiers {
        let part = (tier as f32 + 1.0) / tiers as f32;
        let (top, bottom) = (y - size * (1.0 - part * 0.86 + 0.06), y - size * (1.0 - part * 0.92));
        let reach = half * part * random.within(0.75, 1.1);
        left.extend([(x - reach * 0.45, top), (x - reach, bottom)]);
        right.extend([(x + reach * 0.45, top), (x + reach * random.within(0.8, 1.1), bottom)]);
    }
    let points: Vec<(f32, f32)> =
        std::iter::once((x, y - size)).chain(right).chain([(x, y)]).chain(left.into_iter().rev()).collect();
    canvas.fill(polygon(&points), color);
}

/// Mountains and their reflection in still water.
pub fn lake(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let shore = h * random.within(0.52, 0.60);
    light.paint_sky(canvas, shore, random);
    for layer in 0..4 {
        let near = layer as f32 / 3.0;
        let wander = Wander::new(random, 6, 0.5);
        let rise = h * (0.22 - 0.17 * near);
        let tilt = random.within(-0.5, 0.5);
        let edge = |x: f32| {
            shore
                - rise
                    * (0.55 + 0.75 * wander.at(x / w * (1.5 + 3.5 * near)) + tilt * (x / w - 0.5)).max(0.03)
        };
        let color = mix(light.haze, light.ground, 0.22 + 0.72 * near);
        canvas.fill_down(
            below(w, shore, 3.0, edge),
            (shore - rise, color),
            (shore, mix(color, light.haze, 0.5 - 0.35 * near)),
        );
        if layer == 3 {
            let mut x = 0.0;
            while x < w {
                fir(canvas, x, shore + 2.0, h * random.within(0.02, 0.05), shade(color, -0.15), random);
                x += random.within(7.0, 30.0);
            }
        }
    }
    mist(canvas, shore - h * 0.02, h * 0.06, faded(light.haze, 0.6), random);
    canvas.mirror(shore, 0.92, 1.0);
    let deep = shade(light.ground, -0.1);
    canvas.veil(
        shore,
        h,
        &[(0.0, faded(light.haze, 0.10)), (0.4, faded(deep, 0.18)), (1.0, faded(deep, 0.62))],
        BlendMode::SourceOver,
    );
    for _ in 0..60 {
        let part = random.unit().powf(0.7);
        let (y, x) = (shore + 4.0 + (h - shore) * part, random.within(0.0, w));
        let long = random.within(40.0, 260.0) * (0.4 + part);
        let color = if random.chance(0.6) { light.haze } else { deep };
        canvas.fill(super::canvas::ellipse(x, y, long, 0.7 + 2.0 * part), faded(color, 0.16));
    }
}

/// A flowering meadow up to a line of hills.
pub fn meadow(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.36, 0.46);
    light.paint_sky(canvas, horizon, random);
    let green = mix(light.ground, Color::from_rgba8(112, 140, 62, 255), 0.62);
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        let wander = Wander::new(random, 3, 0.4);
        let base = horizon + h * (0.02 + 0.06 * near);
        let hill = |x: f32| base - h * 0.05 * wander.at(x / w * 2.2);
        let color = mix(light.haze, green, 0.35 + 0.5 * near);
        canvas.fill_down(
            below(w, h, 6.0, hill),
            (base - h * 0.05, color),
            (base + h * 0.3, mix(green, light.warm, 0.15)),
        );
    }
    canvas.veil(
        horizon + h * 0.1,
        h,
        &[(0.0, faded(green, 0.0)), (1.0, faded(shade(green, -0.5), 0.75))],
        BlendMode::SourceOver,
    );
    let bloom = *random.pick(&[0xD9482B_u32, 0x8E6BBF, 0xF2C14E, 0xE77FA0, 0xF4EEE1]);
    let bloom = super::canvas::hex(bloom);
    let mut flowers: Vec<(f32, f32)> =
        (0..620).map(|_| (random.unit().powf(0.75), random.within(-0.02, 1.02))).collect();
    flowers.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (part, across) in flowers {
        let y = horizon + h * 0.11 + (h * 0.62) * part.powf(1.7);
        let size = 1.5 + 17.0 * part.powf(2.2);
        let x = across * w;
        if part > 0.45 {
            let sway = random.within(-0.35, 0.35);
            canvas.stroke(
                super::canvas::line(&[(x, y), (x - sway * size * 4.0, y + size * 5.0)]),
                size * 0.16,
                faded(shade(green, -0.35), 0.8),
            );
            canvas.fill(
                petal(x, y + size * 4.0, size * 5.0, size * 0.3, -1.57 + sway * 2.0),
                faded(shade(green, 0.12), 0.5),
            );
        }
        let color = mix(mix(bloom, light.haze, 0.35 * (1.0 - part)), Color::WHITE, random.within(0.0, 0.16));
        canvas.fill(super::canvas::ellipse(x, y, size, size * 0.72), color);
        if size > 6.0 {
            canvas.fill(
                super::canvas::ellipse(x, y + size * 0.16, size * 0.75, size * 0.42),
                shade(color, -0.16),
            );
            canvas.fill(circle(x, y, size * 0.18), shade(color, -0.6));
        }
    }
}
