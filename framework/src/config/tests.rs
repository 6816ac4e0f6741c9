//! Tests of the settings: their layers, their checks and the text of those in effect.

use super::*;
use crate::testing::fuzz::fuzz;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let environment = environment.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    Config::of_layers(layers::merge(layers::defaults()?, Some(("tripod.toml", file)), environment)?)
}

#[test]
fn the_environment_wins_over_the_file_over_the_defaults() {
    let config = load(
        "listen = \"127.0.0.1:1\"\n[timeline]\nlength = 5",
        &[
            ("TRIPOD_LISTEN", "127.0.0.1:2"),
            ("TRIPOD_LIMITS", "off"),
            ("TRIPOD_DATABASES", "sqlite://a.db, sqlite://b.db"),
            ("TRIPOD_QUEUE__WORKERS", "9"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!((config.timeline.length, config.queue.workers), (5, 9));
    assert!(!config.limits);
    assert_eq!(config.databases, ["sqlite://a.db", "sqlite://b.db"]);
    assert_eq!(config.data_dir, Path::new("data"));
}

#[test]
fn the_apps_section_is_the_apps_to_read() {
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        greeting: String,
        most: u32,
    }
    impl Default for Section {
        fn default() -> Self {
            Self { greeting: "hello".to_owned(), most: 3 }
        }
    }
    let config = load("[app]\ngreeting = \"hi\"", &[("TRIPOD_APP__MOST", "7")]).unwrap();
    assert_eq!(config.app_section::<Section>().unwrap(), Section { greeting: "hi".to_owned(), most: 7 });
    let nothing = load("", &[]).unwrap();
    assert_eq!(nothing.app_section::<Section>().unwrap(), Section::default());
    for (file, says) in [("[app]\ngreting = \"hi\"", "greting"), ("[app]\nmost = \"many\"", "app.most")] {
        let error = load(file, &[]).unwrap().app_section::<Section>().unwrap_err();
        assert!(error.is_configuration() && error.chain().contains(says), "{}", error.chain());
    }
}

#[test]
fn variables_of_kubernetes_are_ignored() {
    let variables = [
        ("TRIPOD_SERVICE_HOST", "10.0.0.1"),
        ("TRIPOD_SERVICE_PORT", "80"),
        ("TRIPOD_SERVICE_PORT_HTTP", "80"),
        ("TRIPOD_PORT", "tcp://10.0.0.1:80"),
        ("TRIPOD_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("TRIPOD_PORT_80_TCP_PROTO", "tcp"),
        ("TRIPOD_PORT_80_TCP_PORT", "80"),
        ("TRIPOD_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("TRIPOD_REDIS_SERVICE_HOST", "10.0.0.2"),
        ("TRIPOD_REDIS_PORT_6379_TCP_ADDR", "10.0.0.2"),
    ];
    assert_eq!(load("", &variables).unwrap().redis, "");
}

#[test]
fn the_settings_in_effect_name_their_sources_and_no_secret() {
    let file = "redis = \"redis://:s3cret@cache/0?prefix=club:\"\n[app]\ngreeting = \"hi\"\n\
                [app.mail]\nsmtp_password = \"s3cret\"\n";
    let variables = [
        ("TRIPOD_QUEUE__WORKERS", "9"),
        ("TRIPOD_DATABASES", "postgres://u:s3cret@db1/a?sslmode=require,postgres://u:s3c?ret@db2/b"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let layers = layers::merge(layers::defaults().unwrap(), Some(("tripod.toml", file)), variables).unwrap();
    let text = effective::text(&layers);
    for line in [
        "listen = \"127.0.0.1:3000\"",
        "workers = 9  # from TRIPOD_QUEUE__WORKERS",
        "redis = \"redis://…@cache/0?prefix=club:\"  # from tripod.toml",
        "databases = [\"postgres://…@db1/a?sslmode=require\", \"postgres://…@db2/b\"]  # from TRIPOD_DATABASES",
        "greeting = \"hi\"  # from tripod.toml",
        "[app.mail]",
        "smtp_password = \"…\"  # from tripod.toml",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
    }
    assert!(!text.contains("s3c"), "{text}");
    // Without masks it can be read as a file.
    let layers = layers::merge(layers::defaults().unwrap(), None, []).unwrap();
    assert_eq!(effective::text(&layers), DEFAULTS);
}

#[test]
fn a_wrong_key_or_value_is_named_with_its_source_and_the_remedy() {
    for (file, environment, says) in [
        ("", vec![("TRIPOD_LISTN", "x")], vec!["TRIPOD_LISTN", "TRIPOD_LISTEN"]),
        ("", vec![("TRIPOD_TIMELINE__LENGHT", "1")], vec!["TRIPOD_TIMELINE__LENGTH"]),
        ("[timeline]\nlenght = 1", vec![], vec!["tripod.toml", "timeline.lenght", "timeline.length"]),
        ("timeline = 3", vec![], vec!["tripod.toml", "timeline", "section"]),
        ("", vec![("TRIPOD_TIMELINE__LENGTH", "many")], vec!["TRIPOD_TIMELINE__LENGTH", "whole number"]),
        ("", vec![("TRIPOD_LIMITS", "maybe")], vec!["TRIPOD_LIMITS", "on or off"]),
        ("limits = \"off\"", vec![], vec!["tripod.toml", "limits", "true or false"]),
        ("listen = 3000", vec![], vec!["tripod.toml", "listen", "string"]),
        ("listen = \"here\"", vec![], vec!["listen"]),
        ("[queue]\nworkers = 0", vec![], vec!["queue.workers", "1 or more"]),
        ("[database]\nconnections = 1", vec![], vec!["database.connections", "2 or more"]),
        ("public_url = \"photos.example/\"", vec![], vec!["public_url", "https://"]),
        ("[http]\ncors_origins = [\"app.example\"]", vec![], vec!["http.cors_origins", "https://"]),
        ("[http]\ncors_origins = [\"https://app.example/\"]", vec![], vec!["without a path"]),
        ("listen = ", vec![], vec!["tripod.toml", "line 1"]),
        ("[timeline]\nlength = -1", vec![], vec!["timeline.length"]),
        ("media = \"s3:/photos\"", vec![], vec!["media", "s3:/photos", "s3://BUCKET", "./"]),
        ("media = \"S3://photos\"", vec![], vec!["S3://photos"]),
        ("media = \"s3:photos\"", vec![], vec!["s3:photos"]),
        ("media = \"file:///srv/photos\"", vec![], vec!["file:///srv/photos"]),
        ("media = \"https://key:s3cret@bucket.example\"", vec![], vec!["https://…@bucket.example"]),
        ("data_dir = \"s3://photos\"", vec![], vec!["data_dir", "s3://photos"]),
        ("", vec![("TRIPOD_WHATEVER_THIS_IS", "x")], vec!["settings` lists them"]),
        ("", vec![("TRIPOD_PORT", "3000")], vec!["TRIPOD_PORT is not a setting"]),
    ] {
        let error = load(file, &environment).unwrap_err();
        assert!(error.is_configuration());
        for word in says {
            assert!(error.chain().contains(word), "{word:?} is not in: {}", error.chain());
        }
    }
}

/// What an operator may have typed: a file, and before its first empty line a variable.
#[test]
fn settings_of_any_text_are_read_or_refused() {
    let words: Vec<&[u8]> = DEFAULTS
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(str::as_bytes)
        .chain([
            b"TRIPOD_" as &[u8],
            b"__",
            b"[",
            b"]",
            b"= ",
            b"\"",
            b"\n",
            b"\n\n",
            b"-1",
            b"99999999999",
            b"://",
            b"@",
        ])
        .filter(|word| !word.is_empty())
        .collect();
    let corpus = [
        "TRIPOD_TIMELINE__LENGTH=7\n\nlisten = \"127.0.0.1:1\"\n[timeline]\nlength = 5\n",
        "TRIPOD_APP__MAIL__KEY={a = [1, 2]}\n\n[app]\ngreeting = \"hi\"\n[app.mail]\nhost = \"x\"\n",
        "TRIPOD_DATABASES=postgres://u:p@h/d?x=y, sqlite://a.db\n\nredis = \"redis://:p@h:1/0?prefix=x\"\n",
        "TRIPOD_PORT_80_TCP_ADDR=10.0.0.1\n\n[http]\ncors_origins = [\"https://a.example\"]\n",
    ];
    let corpus: Vec<&[u8]> = corpus.iter().map(|text| text.as_bytes()).collect();
    let defaults = layers::defaults().unwrap();
    fuzz(&corpus, &words, |input| {
        let text = String::from_utf8_lossy(input);
        let (variable, file) = text.split_once("\n\n").unwrap_or((&text, ""));
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        let variable = name.starts_with(layers::PREFIX).then(|| (name.to_owned(), value.to_owned()));
        if let Ok(layers) = layers::merge(defaults.clone(), Some(("tripod.toml", file)), variable) {
            if input.len() % 16 == 0 {
                effective::text(&layers);
            }
            let _ = Config::of_layers(layers);
        }
        credentials::without_credentials(&text);
        credentials::need_encoding(&text);
    });
}
