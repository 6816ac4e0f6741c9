//! Tests of the drawings: each is different, and always the same.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::*;
use crate::demo::people::PEOPLE;
use crate::demo::plan::Plan;

fn hash(pixels: &Pixmap) -> [u8; 32] {
    Sha256::digest(pixels.data()).into()
}

#[test]
fn no_two_drawings_are_planned_alike() {
    let plan = Plan::new();
    let drawings: Vec<Drawing> = plan.posts.iter().flat_map(|post| post.drawings.iter().copied()).collect();
    assert_eq!(drawings.iter().collect::<HashSet<_>>().len(), drawings.len());
    let scenes: HashSet<Scene> = drawings.iter().map(|drawing| drawing.scene).collect();
    assert_eq!(scenes.len(), SCENES.len());
    for shape in [Shape::Square, Shape::Portrait, Shape::Landscape] {
        assert!(drawings.iter().any(|drawing| drawing.shape == shape), "{shape:?}");
    }
}

#[test]
fn drawings_differ_are_always_the_same_and_say_what_they_show() {
    let mut seen = HashSet::new();
    for scene in SCENES {
        for seed in 0..2 {
            let drawing = Drawing { scene, shape: Shape::Landscape, seed };
            let drawn = drawing.draw();
            assert!(seen.insert(hash(&drawn.pixels)), "{drawing:?} looks like another drawing");
            assert!(drawn.alt.len() > 20 && drawn.alt.ends_with('.'), "{}", drawn.alt);
            assert!(
                drawn.pixels.pixels().iter().all(|pixel| pixel.is_opaque()),
                "{drawing:?} has a transparent pixel"
            );
            if seed == 0 {
                assert_eq!(
                    hash(&drawing.draw().pixels),
                    hash(&drawn.pixels),
                    "{drawing:?} came out differently the second time"
                );
            }
        }
    }
}

#[test]
fn every_shape_has_its_ratio() {
    for (shape, size) in
        [(Shape::Square, (1080, 1080)), (Shape::Portrait, (1080, 1350)), (Shape::Landscape, (1080, 565))]
    {
        let pixels = Drawing { scene: Scene::Tiles, shape, seed: 1 }.draw().pixels;
        assert_eq!((pixels.width(), pixels.height()), size);
    }
}

#[test]
fn everybody_looks_different() {
    let faces = PEOPLE.iter().enumerate().map(|(index, who)| hash(&avatar(who.hair, who.skin, index as u64)));
    assert_eq!(faces.collect::<HashSet<_>>().len(), PEOPLE.len());
    let names: HashSet<&str> = PEOPLE.iter().map(|person| person.username).collect();
    assert_eq!(names.len(), PEOPLE.len());
}
