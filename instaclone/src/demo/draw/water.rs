//! The sea, at any time of day.

use tiny_skia::BlendMode;

use super::canvas::{Canvas, below, ellipse, faded, mix, polygon, shade};
use super::light::Light;
use super::random::{Random, Wander};

/// Open water to the horizon, with the sun's path on it.
pub fn sea(canvas: &mut Canvas, light: &Light, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.46, 0.60);
    light.paint_sky(canvas, horizon, random);
    let (far, near) = (mix(light.haze, light.ground, 0.32), mix(light.ground, light.haze, 0.08));
    canvas.veil(horizon, h, &[(0.0, far), (0.30, mix(far, near, 0.55)), (1.0, near)], BlendMode::SourceOver);
    let sun = light.sun.0 * w;
    canvas.glow((sun, horizon), w * 0.5, faded(light.haze, 0.45), BlendMode::Screen);
    waves(canvas, light, horizon, random);
    if random.chance(0.6) {
        headland(canvas, light, horizon, random);
    }
    if random.chance(0.5) {
        boat(canvas, light, horizon, random);
    }
}

fn waves(canvas: &mut Canvas, light: &Light, horizon: f32, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let sun = light.sun.0 * w;
    let mut strokes: Vec<f32> = (0..420).map(|_| random.unit().powf(1.25)).collect();
    strokes.sort_by(f32::total_cmp);
    for part in strokes {
        let y = horizon + 2.0 + (h - horizon) * part;
        let (long, high) = (random.within(16.0, 90.0) * (0.25 + 1.7 * part), 0.7 + 3.6 * part);
        let spread = w * (0.05 + 0.20 * part);
        let in_path = light.has_sun() && random.chance(0.55);
        let (x, color, alpha) = if in_path {
            let off = (random.unit() + random.unit() + random.unit() - 1.5) * spread;
            (sun + off, mix(light.haze, super::canvas::hex(0xFFF3D6), 0.5), 0.50)
        } else {
            let color = if random.chance(0.5) { light.haze } else { shade(light.ground, -0.3) };
            (random.within(-0.05, 1.05) * w, color, 0.15)
        };
        canvas.fill(ellipse(x, y, long * if in_path { 0.55 } else { 1.5 }, high), faded(color, alpha));
    }
}

fn headland(canvas: &mut Canvas, light: &Light, horizon: f32, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let wander = Wander::new(random, 5, 0.5);
    let from_left = light.sun.0 > 0.5;
    let reach = random.within(0.35, 0.55);
    let edge = |x: f32| {
        let part = if from_left { x / w } else { 1.0 - x / w };
        let body = ((reach - part) / reach).max(0.0).powf(0.7);
        horizon + 1.5 - h * 0.15 * body * (0.8 + 0.5 * wander.at(x / w * 5.0))
    };
    let color = mix(light.haze, light.ground, 0.72);
    canvas.fill_down(
        below(w, horizon + 1.5, 3.0, edge),
        (horizon - h * 0.15, color),
        (horizon, mix(color, light.haze, 0.3)),
    );
}

fn boat(canvas: &mut Canvas, light: &Light, horizon: f32, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let sun_left = light.sun.0 < 0.5;
    let x = w * if sun_left { random.within(0.58, 0.8) } else { random.within(0.2, 0.42) };
    let (y, size) = (horizon + h * random.within(0.05, 0.13), h.min(w) * random.within(0.05, 0.08));
    let hull = mix(light.ground, light.haze, 0.08);
    canvas.fill(ellipse(x, y + size * 0.20, size * 0.75, size * 0.07), faded(light.ground, 0.35));
    let sail = mix(light.haze, super::canvas::hex(0xFFFFFF), 0.55);
    canvas.fill(
        polygon(&[(x, y - size * 1.5), (x + size * 0.62, y - size * 0.08), (x, y - size * 0.08)]),
        sail,
    );
    canvas.fill(
        polygon(&[
            (x - size * 0.05, y - size * 1.3),
            (x - size * 0.42, y - size * 0.08),
            (x - size * 0.05, y - size * 0.08),
        ]),
        shade(sail, -0.14),
    );
    canvas.fill(
        polygon(&[
            (x - size * 0.6, y),
            (x + size * 0.72, y),
            (x + size * 0.45, y + size * 0.2),
            (x - size * 0.42, y + size * 0.2),
        ]),
        hull,
    );
}
