//! Entities in a text: mentions (`@name`), tags (`#tag`) and links, with their places.

use linkify::{LinkFinder, LinkKind};
use serde::{Deserialize, Serialize};
use unicode_ident::is_xid_continue;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::UnicodeEmoji;

/// Entities of a kind in one text; later ones are plain text.
const MOST_MENTIONS: usize = 20;
const MOST_TAGS: usize = 30;
const MOST_LINKS: usize = 20;
/// Characters in a tag's name, and bytes in its normalized name.
const TAG_CHARACTERS: usize = 100;
const TAG_BYTES: usize = 255;
/// Bytes in a link.
const LINK_BYTES: usize = 2_000;

/// A mention, a tag or a link in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextEntity {
    /// Where it begins, in Unicode code points.
    pub start: usize,
    /// Where it ends, in Unicode code points.
    pub end: usize,
    /// What it is.
    pub kind: TextEntityKind,
}

/// What a text entity is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextEntityKind {
    /// The name after the `@`, of ASCII letters, digits, `_` and `.`, as it is written.
    Mention(String),
    /// The normalized name of a tag; see [`tag_name`].
    Tag(String),
    /// An address that begins with `http://` or `https://`.
    Link(String),
}

/// Finds the entities of a text, in order; they do not overlap. At most 20 mentions, 30 tags and 20 links are
/// found. Nothing is found inside a word: the `@` of an e-mail address begins no mention.
///
/// Tags follow Unicode's hashtag identifiers (UAX 31, R8): letters, digits and marks of any script, and emoji.
///
/// ```
/// use tripod::web::{TextEntityKind, text_entities};
/// let found = text_entities("Tea with @ann. #Café #日本 https://example.org/a");
/// let kinds: Vec<TextEntityKind> = found.iter().map(|entity| entity.kind.clone()).collect();
/// assert_eq!(kinds, [
///     TextEntityKind::Mention("ann".into()),
///     TextEntityKind::Tag("café".into()),
///     TextEntityKind::Tag("日本".into()),
///     TextEntityKind::Link("https://example.org/a".into()),
/// ]);
/// assert_eq!((found[0].start, found[0].end), (9, 13));
/// ```
pub fn text_entities(text: &str) -> Vec<TextEntity> {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let mut links = links(text).into_iter().peekable();
    let (mut found, mut at) = (Vec::new(), 0);
    let (mut mentions, mut tags) = (0, 0);
    while let Some(&(byte, c)) = characters.get(at) {
        let before = at.checked_sub(1).map(|before| characters[before].1);
        let rest = &characters[at + 1..];
        // A link that begins within a mention or a tag is none.
        while links.next_if(|(start, _)| *start < byte).is_some() {}
        let entity = if let Some((_, link)) = links.next_if(|(start, _)| *start == byte) {
            Some((link.chars().count(), TextEntityKind::Link(link.to_owned())))
        } else if is_at(c) && mentions < MOST_MENTIONS && may_follow(before) {
            mention(rest).map(|name| (1 + name.len(), TextEntityKind::Mention(name)))
        } else if is_hash(c) && tags < MOST_TAGS && may_follow(before) {
            tag(rest).map(|(length, name)| (1 + length, TextEntityKind::Tag(name)))
        } else {
            None
        };
        let Some((length, kind)) = entity else {
            at += 1;
            continue;
        };
        match kind {
            TextEntityKind::Mention(_) => mentions += 1,
            TextEntityKind::Tag(_) => tags += 1,
            TextEntityKind::Link(_) => {}
        }
        found.push(TextEntity { start: at, end: at + length, kind });
        at += length;
    }
    found
}

/// The normalized name of a tag, by which tags are compared: without `#`, in Unicode form NFKC, in lower
/// case, and without the selectors that choose between a text's and an emoji's look. `None` if it can't be
/// a tag's name.
///
/// ```
/// use tripod::web::tag_name;
/// assert_eq!(tag_name("#CAFE\u{301}").as_deref(), Some("café"));
/// assert_eq!(tag_name("Ｔｅａ"), tag_name("tea"));
/// assert_eq!(tag_name("two words"), None);
/// ```
pub fn tag_name(text: &str) -> Option<String> {
    let text = text.strip_prefix(is_hash).unwrap_or(text);
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let (length, name) = tag(&characters)?;
    (length == characters.len()).then_some(name)
}

fn normalized(tag: impl Iterator<Item = char>) -> String {
    // The final sigma is the same letter.
    let lower = |c: char| c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c });
    tag.nfkc().filter(|c| !is_selector(*c)).flat_map(lower).nfkc().collect()
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠')
}

fn is_hash(c: char) -> bool {
    matches!(c, '#' | '＃' | '﹟')
}

/// Whether a mention or a tag may begin after this character: not within a word, an address or an HTML
/// entity.
fn may_follow(before: Option<char>) -> bool {
    before.is_none_or(|c| {
        !is_xid_continue(c) && !is_at(c) && !is_hash(c) && !matches!(c, '/' | '&' | '.' | '-' | '+' | '=')
    })
}

/// The name of a mention after its `@`. A full stop at the end is the sentence's.
fn mention(rest: &[(usize, char)]) -> Option<String> {
    let name: String = rest
        .iter()
        .map(|(_, c)| *c)
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        .collect();
    // Part of a longer name or address, such as `@ann@example.org` or `@käthe`.
    let goes_on = rest.get(name.len()).is_some_and(|(_, c)| is_xid_continue(*c) || is_at(*c));
    let name = name.trim_end_matches('.');
    (!name.is_empty() && !goes_on).then(|| name.to_owned())
}

/// The length in characters and the normalized name of a tag after its `#`.
fn tag(rest: &[(usize, char)]) -> Option<(usize, String)> {
    let mut length = 0;
    while let Some((_, c)) = rest.get(length) {
        let next = rest.get(length + 1).map(|(_, next)| *next);
        let continues = match length {
            0 => continues_tag(*c) && !is_selector(*c),
            // A joiner is between two others: in emoji of families, between letters of Persian.
            _ if is_joiner(*c) => next.is_some_and(|next| continues_tag(next) && !is_selector(next)),
            _ => continues_tag(*c),
        };
        if !continues {
            break;
        }
        length += 1;
    }
    let goes_on = rest.get(length).is_some_and(|(_, c)| is_hash(*c) || is_at(*c));
    let name = normalized(rest[..length].iter().map(|(_, c)| *c));
    let fits = length <= TAG_CHARACTERS && name.len() <= TAG_BYTES;
    (!name.is_empty() && fits && !goes_on).then_some((length, name))
}

/// Whether a character selects the look of the one before it: as a text or as an emoji.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Whether a character joins the two beside it.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a tag's name may have this character: UAX 31's XID_Continue, and emoji with what they are made of.
fn continues_tag(c: char) -> bool {
    // Some emoji are compatible with other characters, such as a doubled exclamation mark.
    let is_emoji = |c: char| !c.is_ascii() && c.is_emoji_char() && std::iter::once(c).nfkc().eq([c]);
    (is_xid_continue(c) && !is_joiner(c))
        || is_emoji(c)
        || matches!(c, '\u{20e3}' | '\u{e0020}'..='\u{e007f}')
}

/// The links of a text, each with the byte that it begins at.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let is_web = |link: &str| {
        let scheme = link.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        scheme.is_some_and(|(scheme, rest)| {
            matches!(scheme.as_str(), "http" | "https") && rest.starts_with(char::is_alphanumeric)
        })
    };
    let links = finder.links(text).map(|link| (link.start(), link.as_str()));
    links.filter(|(_, link)| link.len() <= LINK_BYTES && is_web(link)).take(MOST_LINKS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz::fuzz;

    fn found(text: &str) -> Vec<String> {
        let shown = |entity: TextEntity| match entity.kind {
            TextEntityKind::Mention(name) => format!("@{name}"),
            TextEntityKind::Tag(name) => format!("#{name}"),
            TextEntityKind::Link(url) => url,
        };
        text_entities(text).into_iter().map(shown).collect()
    }

    #[test]
    fn mentions_are_whole_names() {
        for (text, names) in [
            ("@ann", vec!["@ann"]),
            ("(@ann.b_9), @Bob!", vec!["@ann.b_9", "@Bob"]),
            ("ask @ann. Or @bob...", vec!["@ann", "@bob"]),
            ("＠ann", vec!["@ann"]),
            ("ann@example.org", vec![]),
            ("@ann@example.org @@bob @ @. @käthe", vec![]),
            ("日本@ann", vec![]),
            ("日本 @ann 日本", vec!["@ann"]),
        ] {
            assert_eq!(found(text), names, "{text:?}");
        }
    }

    #[test]
    fn tags_are_identifiers_of_any_script_and_emoji() {
        for (text, tags) in [
            ("#tea,#Coffee", vec!["#tea", "#coffee"]),
            ("#café #CAFE\u{301}", vec!["#café", "#café"]),
            ("#日本語 ＃東京", vec!["#日本語", "#東京"]),
            ("#हिन्दी #ไทย #می\u{200c}خواهم", vec!["#हिन्दी", "#ไทย", "#می\u{200c}خواهم"]),
            ("#👩\u{200d}👧 #❤\u{fe0f} #❤", vec!["#👩\u{200d}👧", "#❤", "#❤"]),
            ("#🇯🇵 #2026 #a_b", vec!["#🇯🇵", "#2026", "#a_b"]),
            ("a#b ##c #d#e &#39; # #, #-x c#", vec![]),
            ("#tea's #ΣΟΦΟΣ", vec!["#tea", "#σοφοσ"]),
            ("#a\u{200d} b", vec!["#a"]),
        ] {
            assert_eq!(found(text), tags, "{text:?}");
        }
        assert!(found(&format!("#{}", "a".repeat(101))).is_empty());
        assert_eq!(found(&format!("#{}", "a".repeat(100))).len(), 1);
    }

    #[test]
    fn links_are_of_the_web_and_hold_no_tags() {
        for (text, links) in [
            ("see https://example.org/a?b=c#d.", vec!["https://example.org/a?b=c#d"]),
            ("(http://example.org/@ann)", vec!["http://example.org/@ann"]),
            ("HTTPS://Example.ORG", vec!["HTTPS://Example.ORG"]),
            ("javascript:alert(1) ftp://a.b file:///etc example.org ann@example.org", vec![]),
            ("https:// http://", vec![]),
            ("#a https://a.example/#c #d", vec!["#a", "https://a.example/#c", "#d"]),
        ] {
            assert_eq!(found(text), links, "{text:?}");
        }
    }

    #[test]
    fn there_are_at_most_so_many() {
        let many = |part: &str| (0..100).map(|n| format!("{part}{n} ")).collect::<String>();
        assert_eq!(found(&many("@a")).len(), MOST_MENTIONS);
        assert_eq!(found(&many("#a")).len(), MOST_TAGS);
        assert_eq!(found(&many("https://a.example/")).len(), MOST_LINKS);
    }

    #[test]
    fn places_are_in_code_points() {
        let places: Vec<_> =
            text_entities("é👍 @ann\n#日本").into_iter().map(|entity| (entity.start, entity.end)).collect();
        assert_eq!(places, [(3, 7), (8, 11)]);
    }

    #[test]
    fn any_text_has_entities_in_order_on_its_characters() {
        let corpus: [&[u8]; 4] = [
            "Tea with @ann. #Café #日本 https://example.org/a".as_bytes(),
            "#👩\u{200d}👧 ＃東京 @b.c #a\u{301}\u{fe0f} http://[::1]/".as_bytes(),
            "\u{fdfa} #İstanbul #Ⅷ #ﬃ #\u{1f1ef}\u{1f1f5} @@ ## https://é.example/%ff".as_bytes(),
            b"",
        ];
        let words: [&[u8]; 9] = [
            b"#",
            b"@",
            b"https://",
            "＃".as_bytes(),
            "\u{200d}".as_bytes(),
            "é".as_bytes(),
            b"a",
            b".",
            b"\n",
        ];
        fuzz(&corpus, &words, |input| {
            let text = String::from_utf8_lossy(input);
            let length = text.chars().count();
            let mut end = 0;
            for entity in text_entities(&text) {
                assert!(end <= entity.start && entity.start < entity.end && entity.end <= length);
                end = entity.end;
                let written: String = text.chars().skip(entity.start).take(end - entity.start).collect();
                match &entity.kind {
                    TextEntityKind::Mention(name) => {
                        assert!(written.starts_with(is_at) && written.ends_with(name))
                    }
                    TextEntityKind::Tag(name) => {
                        assert!(written.starts_with(is_hash));
                        assert_eq!(tag_name(&written).as_ref(), Some(name));
                        assert_eq!(tag_name(name).as_ref(), Some(name), "normalizing twice changes nothing");
                    }
                    TextEntityKind::Link(url) => assert_eq!(url, &written),
                }
            }
        });
    }
}
