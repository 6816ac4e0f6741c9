//! Captions and comments on pages: their mentions, tags and links lead somewhere.

use crate::views::{CommentView, EntityKind, EntityView, PostView};

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Without meaning of its own.
    Plain(String),
    /// The present name of a mentioned person.
    Mention(String),
    /// A tag as it is written, and its name.
    Tag(String, String),
    /// A link.
    Link(String),
}

impl PostView {
    /// The caption in parts.
    pub(super) fn rich_caption(&self) -> Vec<Piece> {
        pieces(&self.caption, &self.entities)
    }
}

impl CommentView {
    /// The text in parts.
    pub(super) fn rich_text(&self) -> Vec<Piece> {
        pieces(&self.text, &self.entities)
    }
}

/// A text in parts.
fn pieces(text: &str, entities: &[EntityView]) -> Vec<Piece> {
    let characters: Vec<char> = text.chars().collect();
    let part = |start: usize, end: usize| characters[start..end].iter().collect::<String>();
    let (mut pieces, mut at) = (Vec::new(), 0);
    for entity in entities {
        let (start, end) = (entity.start, entity.end);
        // A text that is shown again after a refused change is not the stored one.
        if start < at || end <= start || end > characters.len() {
            continue;
        }
        let piece = match (entity.kind, &entity.username, &entity.tag, &entity.url) {
            (EntityKind::Mention, Some(username), _, _) => Piece::Mention(username.clone()),
            (EntityKind::Tag, _, Some(tag), _) => Piece::Tag(part(start, end), tag.clone()),
            (EntityKind::Link, _, _, Some(url)) => Piece::Link(url.clone()),
            _ => continue,
        };
        if at < start {
            pieces.push(Piece::Plain(part(at, start)));
        }
        pieces.push(piece);
        at = end;
    }
    if at < characters.len() {
        pieces.push(Piece::Plain(part(at, characters.len())));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: EntityKind, start: usize, end: usize) -> EntityView {
        let text = || Some("x".to_owned());
        EntityView { kind, start, end, user_id: None, username: text(), tag: text(), url: text() }
    }

    #[test]
    fn a_text_is_cut_at_its_entities() {
        let entities = [entity(EntityKind::Mention, 2, 6), entity(EntityKind::Tag, 7, 9)];
        assert_eq!(
            pieces("é @ann #é!", &entities),
            [
                Piece::Plain("é ".into()),
                Piece::Mention("x".into()),
                Piece::Plain(" ".into()),
                Piece::Tag("#é".into(), "x".into()),
                Piece::Plain("!".into())
            ]
        );
        assert_eq!(pieces("", &entities), []);
        assert_eq!(pieces("short", &[entity(EntityKind::Link, 3, 9)]), [Piece::Plain("short".into())]);
    }
}
