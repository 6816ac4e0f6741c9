//! The conformance suites on servers.

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

/// PostgreSQL through PgBouncer.
mod pgbouncer {
    use tripod::testing::Backing;
    use tripod_tests::servers::Shared;

    async fn backing() -> Backing {
        let installation = Shared::get().await.installation().await;
        Backing::servers(installation.databases(), installation)
    }

    tripod::conformance!(backing().await);
}
