//! Forms with files, as a typed extractor: the parts of `multipart/form-data` become a struct's fields.
//!
//! A form is read whole, within its route's limit, and then deserialized like JSON, so that errors name
//! the field at fault. File names and content types are ignored, as they are only the sender's claims.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::de::value::{MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::body::{DEFAULT_LIMIT_BYTES, Multipart};
use super::json::{field_error, field_path};
use super::{IdempotencyKey, KeyedBody, Once, Problem};

/// Maximum number of parts in a form.
const MOST_PARTS: usize = 100;
/// Maximum length of a part's name, in bytes.
const NAME_BYTES: usize = 256;

/// The fields of a form with files, which a client sends as `multipart/form-data`. Register its route
/// with [`AppBuilder::uploads`](crate::app::AppBuilder::uploads); elsewhere only small bodies are
/// allowed.
///
/// ```
/// use axum::body::Bytes;
/// use serde::Deserialize;
/// use tripod::web::{Keyed, MultipartForm, SignedIn};
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct NewNote {
///     #[serde(default)]
///     photo: Vec<Bytes>,
///     text: String,
///     place: Option<String>,
///     #[serde(default)]
///     private: bool,
/// }
///
/// async fn create_note(me: SignedIn, Keyed(once, MultipartForm(new)): Keyed<MultipartForm<NewNote>>) {
///     // once.write(me, |tx| async move { ... })
/// }
/// ```
///
/// - [`Bytes`] is a file of any type: pass it to
///   [`Processor::process`](crate::media::Processor::process). A file field for which no file was chosen
///   is missing.
/// - Text has at most 64 KiB. Check it further with [`TextFields`](super::TextFields).
/// - A `Vec` takes a part that may be repeated; any other field must be sent once.
/// - An `Option` is `None` if the part is missing or empty, as browsers send all fields of a form.
/// - A `bool` is a checkbox: `on` or `true`. Give it `#[serde(default)]`, as browsers omit checkboxes
///   that are not checked.
///
/// Answers 415 (another content type), 413 (over the route's limit), 408 (too slow), 400 (malformed, or
/// text that is not UTF-8) or 422 (fields that do not fit `T`, with `errors`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MultipartForm<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MultipartForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        FormParts::read(request).await?.deserialize().map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> KeyedBody<S> for MultipartForm<T> {
    /// The content is the parts, without the boundary, which differs each time the form is sent.
    async fn from_keyed(key: IdempotencyKey, request: Request, _: &S) -> Result<(Once, Self), Problem> {
        let FormParts(parts) = FormParts::read(request).await?;
        let once = key.with_content(parts.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]));
        Ok((once, Self(FormParts(parts).deserialize()?)))
    }
}

/// The parts of a form in order: names and contents.
struct FormParts(Vec<(String, Bytes)>);

impl FormParts {
    async fn read(request: Request) -> Result<Self, Problem> {
        let mut form = Multipart::from_request(request, &()).await?;
        let mut parts = Vec::new();
        while let Some(part) = form.next_part().await? {
            if parts.len() == MOST_PARTS {
                return Err(Problem::invalid("", format!("the form may have {MOST_PARTS} parts at most")));
            }
            if part.name.len() > NAME_BYTES {
                return Err(Problem::malformed(format!("The name of a part may have {NAME_BYTES} bytes.")));
            }
            if !part.is_no_file {
                parts.push((part.name, part.bytes));
            }
        }
        Ok(Self(parts))
    }

    fn deserialize<T: DeserializeOwned>(self) -> Result<T, Problem> {
        let mut fields: Vec<(String, Field)> = Vec::new();
        for (name, bytes) in self.0 {
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, field)) => field.0.push(bytes),
                None => fields.push((name, Field(vec![bytes]))),
            }
        }
        let fields = MapDeserializer::new(fields.into_iter());
        serde_path_to_error::deserialize(fields).map_err(|error| {
            let path = field_path(error.path());
            match error.into_inner() {
                Fault::NotText => Problem::malformed(format!("The part {path} is not UTF-8.")),
                Fault::Other(sentence) => Problem::invalid_fields(vec![field_error(&path, &sentence)]),
            }
        })
    }
}

/// All parts with one name; at least one.
struct Field(Vec<Bytes>);

impl Field {
    fn only(mut self) -> Result<Bytes, Fault> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(part), true) => Ok(part),
            _ => Err(Fault::custom("is given more than once")),
        }
    }

    fn text(self) -> Result<String, Fault> {
        let part = self.only()?;
        if part.len() > DEFAULT_LIMIT_BYTES {
            return Err(Fault::custom(format!("must have at most {DEFAULT_LIMIT_BYTES} bytes")));
        }
        String::from_utf8(part.into()).map_err(|_| Fault::NotText)
    }
}

/// Why a field was refused.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("is not UTF-8")]
    NotText,
    #[error("{0}")]
    Other(String),
}

impl serde::de::Error for Fault {
    fn custom<T: std::fmt::Display>(sentence: T) -> Self {
        Self::Other(sentence.to_string())
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Parses numbers from text.
macro_rules! parsed {
    ($($method:ident => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.text()?.trim().parse().map_err(Fault::custom)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text()?.as_str() {
            "on" | "true" => visitor.visit_bool(true),
            "" | "off" | "false" => visitor.visit_bool(false),
            _ => Err(Fault::custom("must be true or false")),
        }
    }

    parsed! {
        deserialize_i8 => visit_i8,
        deserialize_i16 => visit_i16,
        deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64,
        deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64,
        deserialize_f32 => visit_f32,
        deserialize_f64 => visit_f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.iter().all(Bytes::is_empty) {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter().map(|part| Self(vec![part]))))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_byte_buf(visitor)
    }

    /// No copy: this is the only reference to the part.
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_byte_buf(self.only()?.into())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        StringDeserializer::new(self.text()?).deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char str string unit unit_struct tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::CONTENT_TYPE;
    use axum::{Router, body::Body, routing::post};
    use http_body_util::BodyExt;
    use serde::Deserialize;
    use tower::ServiceExt;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Note {
        photo: Vec<Bytes>,
        cover: Option<Bytes>,
        text: String,
        place: Option<String>,
        stars: Option<u8>,
        private: bool,
    }

    #[derive(Debug, Deserialize)]
    struct Required {
        text: String,
    }

    fn part(name: &str, file: Option<&str>, content: &[u8]) -> Vec<u8> {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    async fn send(parts: &[Vec<u8>]) -> (u16, String) {
        send_to("/", parts).await
    }

    async fn send_to(path: &str, parts: &[Vec<u8>]) -> (u16, String) {
        send_body(path, Body::from([parts.concat(), b"--b--\r\n".to_vec()].concat())).await
    }

    async fn send_body(path: &str, body: Body) -> (u16, String) {
        let router: Router = Router::new()
            .route("/", post(async |MultipartForm(note): MultipartForm<Note>| format!("{note:?}")))
            .route("/required", post(async |MultipartForm(Required { text }): MultipartForm<Required>| text))
            .layer(super::super::body::limit(1 << 20));
        let request = Request::post(path).header(CONTENT_TYPE, "Multipart/form-data; boundary=b");
        let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_form_is_the_struct_it_fits() {
        let sent = [
            part("photo", Some("a.jpg"), b"one"),
            part("text", None, "caf\u{e9}".as_bytes()),
            part("photo", Some("b.jpg"), b"\xff"),
            part("cover", Some(""), b""),
            part("place", None, b""),
            part("stars", None, b"5"),
            part("private", None, b"on"),
        ];
        let note = r#"Note { photo: [b"one", b"\xff"], cover: None, text: "café", place: None, stars: Some(5), private: true }"#;
        assert_eq!(send(&sent).await, (200, note.to_owned()));
        let nothing =
            r#"Note { photo: [], cover: None, text: "", place: None, stars: None, private: false }"#;
        assert_eq!(send(&[]).await, (200, nothing.to_owned()));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_said_of_its_field() {
        let twice = part("text", None, b"x").repeat(2);
        let long = "x".repeat(DEFAULT_LIMIT_BYTES + 1);
        for (sent, status, field, says) in [
            (twice, 422, "text", "is given more than once"),
            (part("text", None, long.as_bytes()), 422, "text", "must have at most 65536 bytes"),
            (part("stars", None, b"300"), 422, "stars", "must be a whole number within bounds"),
            (part("private", None, b"maybe"), 422, "private", "must be true or false"),
            (part("surprise", None, b"x"), 422, "surprise", "is not known here"),
            (part("text", None, b"\xff"), 400, "", "The part text is not UTF-8."),
            (part("photo", Some("a.jpg"), b"x").repeat(MOST_PARTS + 1), 422, "", "100 parts at most"),
        ] {
            let (found, text) = send(&[sent]).await;
            assert_eq!(found, status, "{text}");
            assert!(text.contains(says), "{text}");
            let problem: Problem = serde_json::from_str(&text).unwrap();
            let named = problem.errors.first().map_or("", |error| error.field.as_str());
            assert_eq!(named, field, "{text}");
        }
    }

    #[tokio::test]
    async fn the_head_of_a_part_is_bounded_and_its_name_not_echoed() {
        for bytes in [300, 20_000, 900_000] {
            let (status, text) = send(&[part(&"n".repeat(bytes), None, b"x")]).await;
            assert!(status == 400 && text.len() < 300, "{status} {text}");
        }
        let (status, text) = send(&[part(&"n".repeat(200), None, b"x")]).await;
        assert!(status == 422 && text.contains("is not known here"), "{text}");
    }

    /// A parser that searches from the start for each frame reads hundreds of gigabytes here.
    #[tokio::test]
    async fn a_head_that_never_ends_is_refused_early() {
        let frames = (0..1_000_000).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'n'; 16])));
        let start = Ok(Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\""));
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = taken.clone();
        let frames = std::iter::once(start).chain(frames).inspect(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let (status, text) = send_body("/", Body::from_stream(futures::stream::iter(frames))).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("16 KiB"), "{text}");
        let taken = taken.load(std::sync::atomic::Ordering::Relaxed);
        assert!(taken < 1_100, "{taken} frames of 16 bytes were read");
    }

    #[tokio::test]
    async fn a_missing_part_is_an_error_of_its_field() {
        assert_eq!(send_to("/required", &[part("text", None, b"x")]).await, (200, "x".to_owned()));
        let (status, text) = send_to("/required", &[part("other", None, b"x")]).await;
        let problem: Problem = serde_json::from_str(&text).unwrap();
        let error = &problem.errors[0];
        assert_eq!((status, error.field.as_str(), error.detail.as_str()), (422, "text", "is required"));
    }
}
