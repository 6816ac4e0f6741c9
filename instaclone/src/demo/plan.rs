//! Plans who follows whom, who posts, likes and comments what, and when. Everything is decided in
//! advance, from one seed.

use std::time::Duration;

use super::captions::{Caption, captions};
use super::draw::{Drawing, Random, SCENES, Scene, Shape};
use super::people::PEOPLE;
use super::remarks::{ANSWERS, ANYWHERE, remarks};

/// How long the people have been members.
pub const SPAN: Duration = Duration::from_secs(6 * 7 * 24 * 3600);

const HOUR: f32 = 3_600.0;
const DAY: f32 = 24.0 * HOUR;
const SEED: u64 = 2011;

/// A planned post.
pub struct Post {
    /// An index into [`PEOPLE`].
    pub author: usize,
    pub caption: Caption,
    pub drawings: Vec<Drawing>,
}

/// An action. People and posts are indices into their lists.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Follow(usize, usize),
    Post(usize),
    Like(usize, usize),
    /// The person, the post and the text.
    Comment(usize, usize, &'static str),
}

/// All actions in order, each with its time before the present.
pub struct Plan {
    pub posts: Vec<Post>,
    pub acts: Vec<(Duration, Act)>,
}

impl Plan {
    /// The demo's plan, always the same.
    pub fn new() -> Self {
        let random = &mut Random::new(SEED);
        let posts = posts(random);
        let mut acts = Vec::new();
        let followers = follows(&mut acts, random);
        for (index, post) in posts.iter().enumerate() {
            // Posts become more frequent towards the present, and the last one is a moment old.
            let part = (index as f32 + random.unit()) / posts.len() as f32;
            let at = (0.5 * HOUR + (SPAN.as_secs_f32() - 4.0 * DAY) * (1.0 - part).powf(1.3)).max(240.0);
            acts.push((at, Act::Post(index)));
            replies(&mut acts, (index, post, at), &followers[post.author], random);
        }
        acts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let acts = acts.into_iter().map(|(ago, act)| (Duration::from_secs_f32(ago), act)).collect();
        Self { posts, acts }
    }
}

/// One post for each caption, by a person who loves the scene, in a mixed order.
fn posts(random: &mut Random) -> Vec<Post> {
    let mut posts = Vec::new();
    for (kind, scene) in SCENES.into_iter().enumerate() {
        for (index, caption) in captions(scene).iter().enumerate() {
            let fans: Vec<usize> =
                (0..PEOPLE.len()).filter(|person| PEOPLE[*person].loves.contains(&scene)).collect();
            let fan = fans[(index * 5 + random.below(2)) % fans.len()];
            // Visitors log in as the first person, whose profile shows most kinds of scene.
            let author = if index == 0 && kind % 2 == 0 { 0 } else { fan };
            let photos = if random.chance(0.12) { 2 + random.below(2) } else { 1 };
            let shape = shape(scene, random);
            let drawing = |photo: usize| Drawing { scene, shape, seed: (index + 9 * photo) as u64 };
            posts.push(Post { author, caption: *caption, drawings: (0..photos).map(drawing).collect() });
        }
    }
    random.shuffle(&mut posts);
    posts
}

fn shape(scene: Scene, random: &mut Random) -> Shape {
    let wide = matches!(scene, Scene::Mountains | Scene::Sea | Scene::City | Scene::Desert | Scene::Lake);
    match random.unit() {
        part if wide && part < 0.3 => Shape::Landscape,
        part if part < 0.65 => Shape::Portrait,
        _ => Shape::Square,
    }
}

/// Almost everyone follows a few popular people, and some follow the others; shared interests make a
/// follow more likely. Returns the followers of each person.
fn follows(acts: &mut Vec<(f32, Act)>, random: &mut Random) -> Vec<Vec<usize>> {
    let mut followers = vec![Vec::new(); PEOPLE.len()];
    for (reader, person) in PEOPLE.iter().enumerate() {
        let eager = if reader == 0 { 0.9 } else { random.within(0.4, 1.0) };
        for author in (0..PEOPLE.len()).filter(|author| *author != reader) {
            // A fixed order, unrelated to the list's.
            let fame = 1.0 / (1.0 + ((author * 17 + 5) % PEOPLE.len()) as f32 * 0.13);
            let shared = person.loves.iter().filter(|love| PEOPLE[author].loves.contains(love)).count();
            if random.chance(eager * (fame * 0.8 + 0.2 * shared as f32)) {
                followers[author].push(reader);
                let at = SPAN.as_secs_f32() - random.within(2.0, 3.9) * DAY;
                acts.push((at, Act::Follow(reader, author)));
            }
        }
    }
    followers
}

/// Likes and comments under a post, most of them soon after it.
fn replies(
    acts: &mut Vec<(f32, Act)>,
    (index, post, at): (usize, &Post, f32),
    followers: &[usize],
    random: &mut Random,
) {
    let scene = post.drawings[0].scene;
    let soon = |random: &mut Random| {
        (at - 60.0 - random.unit().powi(3) * 2.5 * DAY).max(random.within(5.0, 200.0)).min(at - 30.0)
    };
    let charm = random.within(0.3, 1.1);
    for person in followers {
        let moved = charm * if PEOPLE[*person].loves.contains(&scene) { 1.0 } else { 0.6 };
        if random.chance(moved) {
            acts.push((soon(random), Act::Like(*person, index)));
        }
    }
    let mut speakers: Vec<usize> = followers.to_vec();
    random.shuffle(&mut speakers);
    let (mut fitting, mut general) = (remarks(scene).to_vec(), ANYWHERE.to_vec());
    random.shuffle(&mut fitting);
    random.shuffle(&mut general);
    let count = random.below(5).min(speakers.len());
    for speaker in &speakers[..count] {
        let pool = if random.chance(0.55) { &mut fitting } else { &mut general };
        let Some(text) = pool.pop() else { continue };
        let said = soon(random);
        acts.push((said, Act::Comment(*speaker, index, text)));
        if random.chance(0.28) {
            let answered = (said - random.within(120.0, 3.0 * HOUR)).max(1.0);
            acts.push((answered, Act::Comment(post.author, index, ANSWERS[random.below(ANSWERS.len())])));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn acts_come_in_order_and_after_what_they_are_about() {
        let plan = Plan::new();
        assert!(plan.acts.is_sorted_by(|a, b| a.0 >= b.0));
        let (mut posted, mut once) = (HashSet::new(), HashSet::new());
        for (ago, act) in &plan.acts {
            assert!(*ago <= SPAN);
            match act {
                Act::Post(post) => assert!(posted.insert(*post)),
                Act::Comment(_, post, _) => assert!(posted.contains(post), "{act:?}"),
                Act::Like(_, post) => {
                    assert!(posted.contains(post) && once.insert(format!("{act:?}")), "{act:?}");
                }
                Act::Follow(from, to) => assert!(from != to && once.insert(format!("{act:?}"))),
            }
        }
        assert_eq!(posted.len(), plan.posts.len());
    }

    #[test]
    fn authors_take_photos_of_what_they_love() {
        let of_first = Plan::new().posts.iter().filter(|post| post.author == 0).count();
        assert!(of_first >= 9, "the first person has {of_first} posts: not three rows");
        // Everyone except the first person, who has posts of most kinds.
        for post in Plan::new().posts.iter().filter(|post| post.author != 0) {
            assert!(PEOPLE[post.author].loves.contains(&post.drawings[0].scene));
        }
    }
}
