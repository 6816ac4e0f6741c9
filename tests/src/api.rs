//! Requests and replies: a client of the API with or without a token.

use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// The address of the API, and the client's token.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    origin: String,
    token: Option<String>,
}

/// A reply, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The request, for messages.
    pub of: String,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
    /// The body as JSON; null if it is not JSON.
    pub json: Value,
}

impl Api {
    /// A client without a token. `origin` is like `http://127.0.0.1:3000`.
    pub fn new(origin: String) -> Self {
        Self { http: Client::new(), origin, token: None }
    }

    /// The same client, connecting from this address of this machine, such as 127.0.0.2.
    ///
    /// # Panics
    /// If it can't be.
    pub fn from_address(&self, address: &str) -> Self {
        let address: std::net::IpAddr = address.parse().expect("an address");
        let http = Client::builder().local_address(address).build().expect("a client");
        Self { http, ..self.clone() }
    }

    /// The same client with this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request to complete. A path that begins with `/` is below `/api/v1`, one that begins with `~`
    /// (`~/media`) is below the origin.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = match path.strip_prefix('~') {
            Some(rest) => format!("{}{rest}", self.origin),
            None => format!("{}/api/v1{path}", self.origin),
        };
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::DELETE, path)).await
    }

    /// PUT without a body.
    pub async fn put(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::PUT, path)).await
    }

    /// POST with JSON.
    pub async fn post(&self, path: &str, json: &Value) -> Reply {
        Reply::to(self.request(Method::POST, path).json(json)).await
    }

    /// PATCH with JSON.
    pub async fn patch(&self, path: &str, json: &Value) -> Reply {
        Reply::to(self.request(Method::PATCH, path).json(json)).await
    }

    /// Every item of a list, read in pages of `limit`.
    ///
    /// # Panics
    /// If a page is not full although another follows, or there are more than 1,000 pages.
    pub async fn walk(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..1_000 {
            let page = self.get(&format!("{path}?limit={limit}{cursor}")).await.expect(200);
            let found = page["items"].as_array().expect("a page has items").clone();
            let next = page["next"].as_str().map(str::to_owned);
            assert!(
                next.is_none() || found.len() == limit,
                "{path}: a page of {} is not the last",
                found.len()
            );
            assert!(found.len() <= limit, "{path}: {} items for a limit of {limit}", found.len());
            items.extend(found);
            let Some(next) = next else { return items };
            cursor = format!("&cursor={next}");
        }
        panic!("{path} does not end");
    }
}

impl Reply {
    /// Sends a request.
    ///
    /// # Errors
    /// If no complete reply arrives.
    pub async fn try_to(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let (client, request) = request.build_split();
        let request = request?;
        let of = format!("{} {}", request.method(), request.url().path());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Self { of, status, headers, bytes, json })
    }

    /// Sends a request.
    ///
    /// # Panics
    /// If no complete reply arrives.
    pub async fn to(request: RequestBuilder) -> Self {
        Self::try_to(request).await.expect("the server replies")
    }

    /// The JSON of a reply, after checking its status.
    ///
    /// # Panics
    /// If the status differs.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.of, String::from_utf8_lossy(&self.bytes));
        self.json
    }

    /// The problem (RFC 9457) of a reply, after checking its status.
    ///
    /// # Panics
    /// If the status differs, or the reply is not a problem.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        let of = format!("{}: {} {}", self.of, self.status, String::from_utf8_lossy(&self.bytes));
        assert_eq!(self.status, status, "{of}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{of}");
        for field in ["type", "title", "detail"] {
            assert!(self.json[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {of}");
        }
        assert_eq!(self.json["status"], status, "the status in {of}");
        self.json
    }

    /// A header field; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
