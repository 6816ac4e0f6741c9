//! The conformance suites on the embedded stores.

tripod::conformance!(tripod::testing::Backing::embedded());

/// The media store in a directory.
mod media {
    use tripod::conformance;
    use tripod::media::MediaStore;

    macro_rules! on_an_empty_directory {
        ($($test:ident),+ $(,)?) => {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = tempfile::tempdir().unwrap();
                    let store = MediaStore::open(place.path().to_str().unwrap()).await.unwrap();
                    conformance::media::$test(&store).await;
                }
            )+
        };
    }

    on_an_empty_directory!(
        what_is_put_is_got_until_it_is_deleted,
        to_put_again_is_harmless,
        what_is_absent_is_none,
        a_large_body_comes_back_whole,
        concurrent_puts_of_one_key_agree,
    );
}
