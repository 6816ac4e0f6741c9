//! The conformance suites on servers, one at a time and all together.

/// PostgreSQL itself.
mod postgres {
    use tripod::testing::Backing;
    use tripod_tests::servers::Shared;

    async fn backing() -> Backing {
        let installation = Shared::get().await.installation().await;
        Backing::servers(installation.direct(), installation)
    }

    tripod::conformance!(backing().await);
}

/// Redis with SQLite.
mod redis {
    use tripod::testing::Backing;
    use tripod_tests::servers::Shared;

    async fn backing() -> Backing {
        let installation = Shared::get().await.installation().await;
        Backing::embedded().with_redis(&installation.redis()).holding(installation)
    }

    tripod::conformance!(backing().await);
}

/// PostgreSQL through PgBouncer, and Redis.
mod servers {
    use tripod::testing::Backing;
    use tripod_tests::servers::Shared;

    async fn backing() -> Backing {
        let installation = Shared::get().await.installation().await;
        let redis = installation.redis();
        Backing::servers(installation.databases(), installation).with_redis(&redis)
    }

    tripod::conformance!(backing().await);
}

/// Timelines on a cluster, and behind sentinels.
mod forms {
    use tripod::conformance;
    use tripod::conformance::Stores;
    use tripod::testing::Backing;
    use tripod_tests::servers::{RedisCluster, Sentinel};

    /// Each suite in its own part of the same Redis.
    async fn timelines(url: &str) {
        let stores = async |part: &str| {
            let separator = if url.contains('?') { '&' } else { '?' };
            Stores::new(Backing::embedded().with_redis(&format!("{url}{separator}prefix={part}:"))).await
        };
        conformance::timelines::an_item_reaches_its_readers_once(&stores("a").await).await;
        conformance::timelines::edges_bring_items_in_and_take_them_out(&stores("b").await).await;
        conformance::timelines::a_large_audience_is_pulled(&stores("c").await).await;
        conformance::timeline_store::what_is_trimmed_raises_the_mark(&stores("d").await).await;
        conformance::timeline_store::a_drop_while_building_is_obeyed(&stores("e").await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster() {
        let redis = RedisCluster::start().await;
        timelines(&redis.url()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sentinels() {
        let redis = Sentinel::start().await;
        timelines(&redis.url()).await;
    }
}
