//! The demo's photos, drawn by the program from a scene, a shape and a seed, so that they are always the
//! same. This module knows nothing of people or posts.

mod canvas;
mod land;
mod light;
mod night;
mod pattern;
mod portrait;
mod random;
mod still;
mod water;

pub use portrait::Hair;
pub use random::Random;

use tiny_skia::Pixmap;

use canvas::{Canvas, WIDTH};
use light::Light;

/// The side of an avatar, in pixels.
const AVATAR: u32 = 400;

/// What a photo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    Mountains,
    Desert,
    Forest,
    Lake,
    Meadow,
    Sea,
    City,
    Aurora,
    Moon,
    Rain,
    Fruit,
    Cup,
    Flowers,
    Tiles,
    Cutouts,
    Leaves,
    Stairs,
}

/// All scenes.
pub const SCENES: [Scene; 17] = [
    Scene::Mountains,
    Scene::Desert,
    Scene::Forest,
    Scene::Lake,
    Scene::Meadow,
    Scene::Sea,
    Scene::City,
    Scene::Aurora,
    Scene::Moon,
    Scene::Rain,
    Scene::Fruit,
    Scene::Cup,
    Scene::Flowers,
    Scene::Tiles,
    Scene::Cutouts,
    Scene::Leaves,
    Scene::Stairs,
];

/// The shape of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// 1:1.
    Square,
    /// 4:5.
    Portrait,
    /// 1.91:1.
    Landscape,
}

/// A photo to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drawing {
    pub scene: Scene,
    pub shape: Shape,
    pub seed: u64,
}

/// A drawn photo: its pixels, and its text alternative.
pub struct Drawn {
    pub pixels: Pixmap,
    pub alt: String,
}

impl Drawing {
    /// Draws the photo. Keeps a core busy for a tenth of a second.
    pub fn draw(self) -> Drawn {
        let height = match self.shape {
            Shape::Square => WIDTH,
            Shape::Portrait => WIDTH * 5 / 4,
            Shape::Landscape => WIDTH * 100 / 191,
        };
        let mut canvas = Canvas::new(WIDTH, height);
        let random = &mut Random::new(self.seed * 64 + self.scene as u64);
        // The seed numbers the drawings of a scene, so that each has a different light.
        let times: &[usize] = match self.scene {
            // Without the sun, a desert is only a heap of sand.
            Scene::Desert => &[0, 1, 2, 4, 5, 6],
            _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        };
        let light = Light::of_day(times[self.seed as usize % times.len()], random);
        let when = light.when;
        let sun = if light.has_sun() { ", the sun low in the sky" } else { "" };
        let canvas_of = &mut canvas;
        let alt = match self.scene {
            Scene::Mountains => {
                land::mountains(canvas_of, &light, random);
                format!("Mountain ridges one behind the other, fading into haze {when}{sun}.")
            }
            Scene::Desert => {
                land::desert(canvas_of, &light, random);
                format!("Sand dunes, half in the light and half in the shade, {when}{sun}.")
            }
            Scene::Forest => {
                land::forest(canvas_of, &light, random);
                format!("Rows of fir trees with mist between them {when}{sun}.")
            }
            Scene::Lake => {
                land::lake(canvas_of, &light, random);
                format!("A still lake that mirrors mountains and the sky {when}{sun}.")
            }
            Scene::Meadow => {
                land::meadow(canvas_of, &light, random);
                format!("A meadow full of flowers before low hills {when}{sun}.")
            }
            Scene::Sea => {
                water::sea(canvas_of, &light, random);
                let path = if light.has_sun() { ", the sun's light lying on the water" } else { "" };
                format!("The open sea up to the horizon {when}{path}.")
            }
            Scene::City => {
                night::city(canvas_of, random);
                "A city's skyline at night, its lit windows mirrored in the water.".to_owned()
            }
            Scene::Aurora => {
                night::aurora(canvas_of, random);
                "Northern lights in curtains over dark hills, among stars.".to_owned()
            }
            Scene::Moon => {
                night::moon(canvas_of, random);
                "A full moon and stars over dark, rolling hills.".to_owned()
            }
            Scene::Rain => {
                night::rain(canvas_of, random);
                "Drops of rain on a window, and behind it the lights of a street out of focus.".to_owned()
            }
            Scene::Fruit => {
                let fruit = still::fruit(canvas_of, random);
                format!("A bowl of {fruit} on a table in the light of a window.")
            }
            Scene::Cup => {
                let drink = still::cup(canvas_of, random);
                format!(
                    "A cup of {} on its saucer, seen from above on a wooden table.",
                    drink.trim_start_matches("a ")
                )
            }
            Scene::Flowers => {
                let flowers = still::flowers(canvas_of, random);
                format!("A vase of {flowers} on a table in the light of a window.")
            }
            Scene::Tiles => {
                pattern::tiles(canvas_of, random);
                "A wall of glazed, patterned tiles.".to_owned()
            }
            Scene::Cutouts => {
                pattern::cutouts(canvas_of, random);
                "Leaves, arches and circles cut out of coloured paper, laid in a grid.".to_owned()
            }
            Scene::Leaves => {
                pattern::leaves(canvas_of, random);
                "Large leaves, one over another, lit from above.".to_owned()
            }
            Scene::Stairs => {
                let color = pattern::stairs(canvas_of, random);
                format!("Stairs and an arch in a {color} wall, in hard sunlight under a blue sky.")
            }
        };
        let flat = matches!(self.scene, Scene::Tiles | Scene::Cutouts);
        canvas.finish(if flat { 0.12 } else { 0.26 }, if flat { 0.10 } else { 0.13 }, random);
        Drawn { pixels: canvas.into_pixels(), alt }
    }
}

/// Draws an avatar.
pub fn avatar(hair: Hair, skin: usize, seed: u64) -> Pixmap {
    let mut canvas = Canvas::new(AVATAR, AVATAR);
    let random = &mut Random::new(seed);
    portrait::portrait(&mut canvas, hair, skin, random);
    canvas.finish(0.10, 0.08, random);
    canvas.into_pixels()
}

#[cfg(test)]
mod tests;
