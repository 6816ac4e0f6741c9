//! Compares each expansion with the file of its name in `tests/expanded`. After an intended change,
//! `UPDATE_EXPANDED=1 cargo test -p tripod-macros` rewrites the files; read the diff.

use std::path::PathBuf;

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse_quote};

use crate::{cached, edge, index, job, sharded, timeline_item};

fn check(name: &str, derive: fn(&DeriveInput) -> TokenStream, input: DeriveInput) {
    let file = syn::parse2(derive(&input)).expect("an expansion is a list of items");
    let expanded = format!(
        "//! What `{name}` in `src/expanded_tests.rs` expands to.\n\n{}",
        prettyplease::unparse(&file)
    );
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/expanded/{name}.expanded.rs"));
    if std::env::var_os("UPDATE_EXPANDED").is_some() {
        std::fs::write(&path, &expanded).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expanded, expected, "{} differs; see the first lines of this test", path.display());
}

#[test]
fn sharded_by_an_owner() {
    check(
        "sharded_by_an_owner",
        sharded::derive,
        parse_quote! {
            #[sea_orm(table_name = "note")]
            #[sharded(by = author_id)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Id<Entity>,
                pub author_id: Id<author::Entity>,
                pub text: String,
            }
        },
    );
}

#[test]
fn sharded_by_its_own_id() {
    check(
        "sharded_by_its_own_id",
        sharded::derive,
        parse_quote! {
            #[sharded(by = id,)]
            struct Model {
                #[sea_orm(column_name = "author", primary_key, auto_increment = false)]
                id: tripod::id::Id<Entity>,
            }
        },
    );
}

#[test]
fn sharded_by_a_column_of_another_name() {
    check(
        "sharded_by_a_column_of_another_name",
        sharded::derive,
        parse_quote! {
            #[sharded(by = r#where)]
            struct Model {
                #[sea_orm(primary_key, auto_increment = false, enum_name = "NoteId")]
                id: Id<Entity>,
                #[sea_orm(column_type = "BigInteger", enum_name = "Place")]
                r#where: Id<place::Entity>,
            }
        },
    );
}

#[test]
fn sharded_by_a_text() {
    check(
        "sharded_by_a_text",
        sharded::derive,
        parse_quote! {
            #[sharded(text = user_name)]
            struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                shard: i16,
                #[sea_orm(primary_key, auto_increment = false)]
                user_name: String,
                author_id: Id<author::Entity>,
            }
        },
    );
}

#[test]
fn sharded_cached_and_in_timelines() {
    check(
        "sharded_cached_and_in_timelines",
        sharded::derive,
        parse_quote! {
            #[sharded(by = author_id)]
            #[cached(ttl = "10m")]
            #[timeline(name = "home", audience = Follow)]
            struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                id: Id<Entity>,
                author_id: Id<author::Entity>,
            }
        },
    );
}

#[test]
fn sharded_by_a_text_beside_what_needs_an_id() {
    check(
        "sharded_by_a_text_beside_what_needs_an_id",
        sharded::derive,
        parse_quote! {
            #[sharded(text = name)]
            #[cached(ttl = "10m")]
            #[timeline(name = "home", audience = Follow)]
            struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                shard: i16,
                #[sea_orm(primary_key, auto_increment = false)]
                name: String,
            }
        },
    );
}

#[test]
fn sharded_copied_to_model_ex_by_sea_orm() {
    let input: DeriveInput = parse_quote! {
        #[sharded(by = author_id)]
        struct ModelEx { id: Id<Entity>, author: HasOne<author::Entity> }
    };
    assert!(sharded::derive(&input).is_empty());
    assert!(timeline_item::derive(&input).is_empty());
}

#[test]
fn sharded_with_two_mistakes_still_implements() {
    check(
        "sharded_with_two_mistakes_still_implements",
        sharded::derive,
        parse_quote! {
            #[sharded(by = autor_id)]
            struct Model {
                #[sea_orm(primary_key)]
                id: Id<Entity>,
                author_id: Id<author::Entity>,
            }
        },
    );
}

#[test]
fn cached() {
    check(
        "cached",
        cached::derive,
        parse_quote! {
            #[sea_orm(table_name = "note")]
            #[cached(ttl = "10m")]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Id<Entity>,
                pub text: String,
            }
        },
    );
}

#[test]
fn cached_under_a_name() {
    check(
        "cached_under_a_name",
        cached::derive,
        parse_quote! {
            #[cached(name = "weather", ttl = "90s", version = 2)]
            enum Weather { Fair, Foul { wind: u32 } }
        },
    );
}

#[test]
fn cached_with_a_view() {
    check(
        "cached_with_a_view",
        cached::derive,
        parse_quote! {
            #[cached(name = "weather", ttl = "90s", view = crate::web::Rendered<Forecast>)]
            struct Weather(u8);
        },
    );
}

#[test]
fn edge() {
    check(
        "edge",
        edge::derive,
        parse_quote! {
            #[edge(name = "like", from = account::Entity, to = crate::posts::post::Entity)]
            pub struct Like;
        },
    );
}

#[test]
fn edge_that_ends_others() {
    check(
        "edge_that_ends_others",
        edge::derive,
        parse_quote! {
            #[edge(name = "block", from = account::Entity, to = account::Entity, ends = (Follow, Request), sources = "cached")]
            pub struct Block;
        },
    );
}

#[test]
fn job() {
    check(
        "job",
        job::derive,
        parse_quote! {
            #[job(name = "share_post", retries = 3)]
            struct SharePost { post: Id<post::Entity>, to: Network }
        },
    );
}

#[test]
fn job_in_a_lane_and_unique() {
    check(
        "job_in_a_lane_and_unique",
        job::derive,
        parse_quote! {
            #[job(name = "mail_digest", lane = "mail", unique_while_waiting = account)]
            struct MailDigest {
                account: i64,
            }
        },
    );
}

#[test]
fn job_without_retries() {
    check(
        "job_without_retries",
        job::derive,
        parse_quote! {
            #[job(name = "accounts.delete")]
            enum Delete { Now, Later(u32) }
        },
    );
}

#[test]
fn timeline_item() {
    check(
        "timeline_item",
        timeline_item::derive,
        parse_quote! {
            #[sharded(by = author_id)]
            #[timeline(name = "home", audience = crate::follows::Follow)]
            struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                id: Id<Entity>,
                author_id: Id<author::Entity>,
            }
        },
    );
}

#[test]
fn index_by_prefixes() {
    check(
        "index_by_prefixes",
        index::derive,
        parse_quote! {
            #[index(name = "note_by_word", of = note::Entity, keys = note::words, prefixes = true)]
            pub struct NoteByWord;
        },
    );
}
