//! The light of a time of day: matching colours for sky, haze and ground.

use tiny_skia::{BlendMode, Color};

use super::canvas::{Canvas, circle, faded, hex, mix, shade};
use super::random::Random;

/// A time of day.
#[derive(Clone, Debug)]
pub struct Light {
    /// Its name in a sentence: "at dawn".
    pub when: &'static str,
    /// The sky, from its top to the horizon.
    sky: [Color; 4],
    /// The colour that distant things fade to.
    pub haze: Color,
    /// The colour of near things in the shade.
    pub ground: Color,
    /// The colour of things in the sun.
    pub warm: Color,
    /// The sun's colour, if it is visible.
    disc: Option<Color>,
    /// The sun's position, relative to the width and the sky's height.
    pub sun: (f32, f32),
}

/// Name, sky, haze, ground, warm, disc.
type Hues = (&'static str, [u32; 4], u32, u32, u32, Option<u32>);

const DAY: [Hues; 9] = [
    ("at dawn", [0x39507E, 0x8C7BA8, 0xE8A59A, 0xFBD9B0], 0xF2C4A6, 0x2C3350, 0xE6A77C, Some(0xFFF1CF)),
    ("at sunrise", [0x5B8FB9, 0x9CC0CF, 0xF5D5A8, 0xFFE3B8], 0xF6D3A8, 0x34455A, 0xEBAF6E, Some(0xFFF6DD)),
    ("on a clear morning", [0x4B8FCB, 0x7DB4DF, 0xB5D8EA, 0xE4EFEF], 0xD3E4EA, 0x27475E, 0xE3C595, None),
    ("under a pale noon sky", [0x8FB9CC, 0xB4D0D8, 0xD6E3E0, 0xF0EEE2], 0xE2E6DF, 0x41584F, 0xE2C8A0, None),
    (
        "in the golden hour",
        [0x6E7FA3, 0xC79E97, 0xF3B679, 0xFFD58A],
        0xF7BF80,
        0x4A3038,
        0xE8944A,
        Some(0xFFF0C0),
    ),
    ("at sunset", [0x2F3A6B, 0x8A4F84, 0xE36A5C, 0xFBB25F], 0xEE8A62, 0x2A1F3D, 0xDB6B45, Some(0xFFE2A0)),
    ("at dusk", [0x1C2550, 0x40427F, 0x9A6396, 0xE89A8F], 0xB57E9C, 0x16193A, 0x9F6A7E, None),
    ("in the blue hour", [0x10224A, 0x23487E, 0x5A86AE, 0xBFD0CE], 0x7B9FB8, 0x0D1D38, 0x708FA6, None),
    ("after rain", [0x6D7F8E, 0x94A5AC, 0xBCC7C6, 0xE1E2D8], 0xC6CFCC, 0x2B3F42, 0xC2B79A, None),
];

impl Light {
    /// One of the times of day, a little different each time.
    pub fn of_day(index: usize, random: &mut Random) -> Self {
        let (when, sky, haze, ground, warm, disc) = DAY[index % DAY.len()];
        let tint = hex(*random.pick(&[0xFFB48A, 0xB9A3FF, 0x9AD4C8, 0xFFE0A0, 0x8FB6FF]));
        let touch = random.within(0.0, 0.13);
        let tinted = |rgb: u32| mix(hex(rgb), tint, touch);
        Self {
            when,
            sky: sky.map(tinted),
            haze: tinted(haze),
            ground: mix(hex(ground), tint, touch * 0.4),
            warm: tinted(warm),
            disc: disc.map(hex),
            sun: (random.within(0.18, 0.82), random.within(0.52, 0.86)),
        }
    }

    /// Whether the sun is visible.
    pub fn has_sun(&self) -> bool {
        self.disc.is_some()
    }

    /// The sky above a horizon, with its sun and clouds.
    pub fn paint_sky(&self, canvas: &mut Canvas, horizon: f32, random: &mut Random) {
        let (w, h) = (canvas.width, canvas.height);
        let end = (horizon / h).min(1.0);
        let [zenith, high, low, rim] = self.sky;
        canvas.sky(&[(0.0, zenith), (end * 0.38, high), (end * 0.78, low), (end, rim), (1.0, rim)]);
        let at = (self.sun.0 * w, self.sun.1 * horizon);
        if let Some(disc) = self.disc {
            canvas.glow(at, w * 0.70, faded(mix(disc, self.sky[3], 0.3), 0.62), BlendMode::Screen);
        }
        self.clouds(canvas, horizon, random);
        if let Some(disc) = self.disc {
            let radius = w * 0.036;
            canvas.glow(at, radius * 5.0, faded(disc, 0.75), BlendMode::Screen);
            canvas.fill(circle(at.0, at.1, radius), shade(disc, 0.35));
        }
    }

    fn clouds(&self, canvas: &mut Canvas, horizon: f32, random: &mut Random) {
        let w = canvas.width;
        let cover = random.within(0.34, 0.62);
        let size = ((w / 5.0) as u32, (horizon / 5.0) as u32);
        let bands = (random.within(1.6, 3.0), random.within(3.0, 6.0) * horizon / 540.0);
        let dark = mix(self.sky[1], self.ground, 0.28);
        let mut clouds = Canvas::noise(size.0, size.1, bands, cover, faded(dark, 0.40), &mut random.clone());
        let lit = faded(mix(self.sky[3], Color::WHITE, 0.45), 0.70);
        let above = Canvas::noise(size.0, size.1, bands, cover * 0.92, lit, random);
        clouds.overlay(&above, 1.0, BlendMode::SourceOver);
        clouds.fade(0.0, 0.33, 0.72, 0.98);
        canvas.overlay_band(&clouds, (0.0, horizon), 1.0, BlendMode::SourceOver);
    }
}
