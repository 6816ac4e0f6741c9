//! User and password in the URL of a store: never printed, and percent-encoded where a URL needs that.

/// What to do about [`need_encoding`].
pub(crate) const ENCODE: &str = "percent-encode the special characters of its user and password: @ is %40, \
                                 : is %3A, / is %2F, ? is %3F, # is %23, % is %25";

/// Whether user and password have a character that a URL takes for their end. Whatever stands before the
/// last @ is taken for theirs.
pub(crate) fn need_encoding(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((credentials, _)) = rest.rsplit_once('@') else { return false };
    let is_code = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    credentials.contains(['/', '?', '#', '@', '[', ']', ' ']) || !credentials.split('%').skip(1).all(is_code)
}

/// A URL without user, password and query, for messages.
pub(crate) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (mask, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let hosts = rest.split('/').next().unwrap_or_default();
    let is_host = |host: &str| {
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        host.starts_with('[') || port.bytes().all(|byte| byte.is_ascii_digit())
    };
    // USER:PASSWORD, whose host was forgotten, looks like a host whose port is no number.
    let rest = if hosts.split(',').all(is_host) { rest } else { "…" };
    format!("{scheme}{mask}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_left_however_it_is_written() {
        for (url, shown, is_wrong) in [
            ("postgres://db1:5432/app", "postgres://db1:5432/app", false),
            ("postgres://tripod:s3cret@db1:5432/app?sslmode=require", "postgres://…@db1:5432/app", false),
            ("postgres://tripod:s3%2Fcr%40et@db1/app", "postgres://…@db1/app", false),
            ("postgres://tripod:Secr3t@p/ss@host/app", "postgres://…@host/app", true),
            ("postgres://tripod:s3cr?et@host/app", "postgres://…@host/app", true),
            ("postgres://tripod:s3cr#et@host", "postgres://…@host", true),
            ("postgres://tripod:100%s3cret@host/app", "postgres://…@host/app", true),
            ("postgres://tripod:s3cret", "postgres://…", false),
            ("postgres://tripod:s3/cret", "postgres://…", false),
            ("redis://:s3cret@cache:6379/0?prefix=x", "redis://…@cache:6379/0", false),
            ("redis-cluster://:s3@cret@a:1,b:2", "redis-cluster://…@a:1,b:2", true),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0", false),
            ("u:s3cret@host:1", "…@host:1", false),
            ("photos", "photos", false),
        ] {
            assert_eq!((without_credentials(url).as_str(), need_encoding(url)), (shown, is_wrong), "{url}");
        }
    }
}
