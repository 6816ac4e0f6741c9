//! The comments under photos.

use super::draw::Scene;

/// Comments that fit any photo.
pub const ANYWHERE: [&str; 26] = [
    "This is so good.",
    "The light in this one!",
    "Okay, I'm jealous.",
    "Saving this for a grey Monday.",
    "Your captions get me every time 😄",
    "I needed to see this today. Thank you.",
    "How do you keep finding these?",
    "Frame it. Please.",
    "More of these!",
    "Wow.",
    "The colours 😍",
    "Take me with you next time.",
    "You've got such an eye for this.",
    "I looked at this for far too long.",
    "Quietly my favourite of yours.",
    "Wallpaper, with your permission?",
    "Showed it to my mum. She approves.",
    "This made the whole feed better.",
    "Beautiful ❤️",
    "I can feel this one.",
    "Twice I scrolled past, twice I came back.",
    "Exactly my mood.",
    "Ten out of ten.",
    "So calm.",
    "That caption, though.",
    "👏👏👏",
];

/// Comments that fit only the photos of a scene.
pub fn remarks(scene: Scene) -> &'static [&'static str; 5] {
    match scene {
        Scene::Mountains => &[
            "Which trail is this?",
            "My legs hurt just looking at it.",
            "That haze is unreal.",
            "Counted the ridges. Lost count.",
            "I can smell the cold air.",
        ],
        Scene::Desert => &[
            "That shadow line!",
            "How hot was it, honestly?",
            "I still find sand in my tent from last year.",
            "Looks like silk.",
            "So quiet, you can hear it from here.",
        ],
        Scene::Forest => &[
            "The mist does all the work, and I love it.",
            "Straight out of a fairy tale.",
            "I'd get lost in there, happily.",
            "Best smell in the world.",
            "Those trees fade so nicely.",
        ],
        Scene::Lake => &[
            "I did turn my phone upside down.",
            "Not a ripple!",
            "Which half is real?",
            "Is the water as cold as it looks?",
            "Perfect mirror.",
        ],
        Scene::Meadow => &[
            "My hay fever felt this one.",
            "So many flowers!",
            "I want to run down that hill.",
            "Summer in one picture.",
            "The bees must be delighted.",
        ],
        Scene::Sea => &[
            "I miss the sea so much.",
            "Did you swim?",
            "I can hear it.",
            "That horizon.",
            "Booking a ticket right now.",
        ],
        Scene::City => &[
            "I think I can see my office. Sadly.",
            "The reflection!",
            "Every window a story.",
            "Which bridge did you stand on?",
            "Cities should only be seen from across the water.",
        ],
        Scene::Aurora => &[
            "Top of my list, for years.",
            "How long did it last?",
            "I got goosebumps.",
            "What was the temperature?",
            "It doesn't look real, and I know it is.",
        ],
        Scene::Moon => &[
            "I saw it, too! From my balcony.",
            "So that's why nobody could sleep.",
            "Those stars.",
            "It was huge that night.",
            "Hello, moon.",
        ],
        Scene::Rain => &[
            "This is a song, not a photo.",
            "I love weather like this, from inside.",
            "Those lights!",
            "Makes me want tea and a blanket.",
            "Every drop is sharp. How?",
        ],
        Scene::Fruit => &[
            "Old-master light.",
            "Now I'm hungry.",
            "Who ate the first one?",
            "Was it the market by the station?",
            "It looks painted.",
        ],
        Scene::Cup => &[
            "I need one right now.",
            "That cup!",
            "Which café?",
            "Thursdays it is.",
            "Did you drink it cold in the end?",
        ],
        Scene::Flowers => &[
            "They look so fresh!",
            "Where's the vase from?",
            "Flowers on a Wednesday should be the law.",
            "You've inspired me. Off to the florist.",
            "That window light.",
        ],
        Scene::Tiles => &[
            "Found the odd one, I think?",
            "Patterns like this make my brain happy.",
            "I'd tile my whole life in this.",
            "The patience it must have taken.",
            "Need these in my kitchen.",
        ],
        Scene::Cutouts => &[
            "I'd buy this print.",
            "The palette!",
            "That leaf was worth four tries.",
            "So playful.",
            "Teach me how.",
        ],
        Scene::Leaves => &[
            "What plant is this?",
            "Bernard!",
            "Mine never looks like that.",
            "So many shades of one colour.",
            "Plant people are the best people.",
        ],
        Scene::Stairs => &[
            "Those shadows are razor-sharp.",
            "I want to live behind that window.",
            "Where is this?",
            "The wall against the sky!",
            "Waiting for the cat.",
        ],
    }
}

/// Answers by authors.
pub const ANSWERS: [&str; 10] = [
    "Thank you! 🙏",
    "Ha, thanks!",
    "Come along next time.",
    "I'll tell you the spot.",
    "That means a lot.",
    "Glad you like it!",
    "I nearly didn't post it.",
    "You're too kind.",
    "Best part of my week, honestly.",
    "❤️",
];
