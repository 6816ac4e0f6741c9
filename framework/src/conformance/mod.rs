//! The conformance suites, for whoever adds or tests a backend: what every backend of an interface must
//! do, shown on a small app of authors and notes. Apps test themselves with [`testing`](crate::testing).
//!
//! Each suite takes stores that are open and empty, or the backing to open them on.

pub mod cache;
mod cache_fixture;
pub mod edges;
pub mod ended_edges;
mod fixtures;
pub mod graph;
pub mod idempotency;
pub mod index;
pub mod lanes;
pub mod media;
pub mod passwords;
pub mod queue;
pub mod queue_times;
pub mod shards;
mod stores;
pub mod timeline_store;
pub mod timelines;
pub mod uploads;

pub use cache_fixture::CacheFixture;
pub use fixtures::{Author, Keeps, Note, NoteByWord, Reads, Shuns, author, note};
pub use stores::{Stores, Working};

use crate::id::Id;

/// Two authors on different databases.
async fn on_two_databases(stores: &Stores) -> (Id<Author>, Id<Author>) {
    let first = stores.author("first").await;
    let place = stores.shards.database(first.shard()).name();
    for n in 0..100 {
        let other = stores.author(&format!("other-{n}")).await;
        if stores.shards.database(other.shard()).name() != place {
            return (first, other);
        }
    }
    panic!("a hundred authors live on one of {:?}", stores.shards);
}

/// Makes a test of each case of each suite, each on a new [`Backing`](crate::testing::Backing) from the
/// expression.
///
/// ```ignore
/// tripod::conformance!(tripod::testing::Backing::embedded());
/// ```
#[macro_export]
macro_rules! conformance {
    ($backing:expr) => {
        $crate::conformance! { on stores, $backing, shards:
            rows_are_found_wherever_they_live,
            lists_are_walked_from_either_end,
            rows_are_left_out_while_their_database_is_away,
            a_row_on_the_wrong_shard_is_refused,
            two_processes_that_mint_alike_claim_different_ids,
            a_reserved_id_is_claimed_once,
            a_write_is_all_or_nothing_and_fenced,
            an_update_writes_what_differs,
            nothing_is_written_for_an_owner_who_is_gone,
            a_row_that_is_held_is_not_deleted,
            a_retired_name_is_forgotten_and_not_given_away,
            updates_of_one_row_follow_each_other,
        }
        $crate::conformance! { on stores, $backing, cache:
            many_who_ask_are_one_load,
            many_ids_are_read_at_once,
            absence_is_remembered_until_it_ends,
            errors_are_not_kept_and_delete_nothing,
            what_is_old_is_given_while_one_loads_it_anew,
            a_change_is_seen_by_every_process,
            a_slow_load_can_not_undo_a_write,
            a_writer_who_dies_leaves_nothing_old,
            one_change_does_not_end_another,
            memory_is_bounded_and_large_values_are_not_kept,
        }
        $crate::conformance! { on stores, $backing, graph:
            an_edge_is_seen_from_both_ends,
            neighbours_are_walked_by_keyset,
            concurrent_toggles_never_drift,
            an_inverse_edge_that_was_not_written_is_made_up_for,
            a_row_is_deleted_with_its_edges,
            there_is_no_edge_to_or_from_a_row_that_is_gone,
            an_edge_whose_end_goes_before_its_inverse_is_removed,
            a_deleted_row_leaves_no_trace_of_its_edges,
            what_an_owner_leaves_behind_is_deleted,
            what_is_available_leaves_out_a_database_that_is_away,
            the_rows_with_the_most_edges_are_found,
        }
        $crate::conformance! { on stores, $backing, index:
            rows_are_found_by_each_of_their_keys,
            keys_are_found_by_their_beginning,
            only_keys_that_change_enqueue_a_job,
            late_and_concurrent_jobs_end_with_the_row,
            a_row_that_changes_while_a_job_writes_ends_as_it_is,
            an_index_survives_killed_workers,
            an_index_is_dropped_and_rebuilt_under_writes,
            a_rebuild_that_is_killed_continues,
            a_rebuild_removes_what_no_row_names,
        }
        $crate::conformance! { on stores, $backing, ended_edges:
            an_edge_ends_others_in_both_directions_and_keeps_them_out,
            edges_that_are_added_as_they_are_ended_do_not_stay,
            what_a_crash_leaves_is_ended_later,
        }
        $crate::conformance! { on stores, $backing, edges:
            each_change_of_many_is_as_if_alone,
            processes_that_change_the_same_edges_get_along,
            a_change_that_fails_takes_no_other_along,
            a_change_on_a_shard_that_has_moved_is_refused,
            an_audit_finds_and_repairs_every_fault,
            a_page_of_memberships_is_one_query,
        }
        $crate::conformance! { on stores, $backing, timelines:
            an_item_reaches_its_readers_once,
            an_author_sees_their_own_item_at_once,
            a_deleted_item_leaves_the_timelines,
            what_is_undone_is_not_published,
            a_late_edge_brings_in_what_it_missed,
            a_removed_edge_takes_its_items_out_late,
            a_timeline_goes_on_below_what_is_kept,
            edges_bring_items_in_and_take_them_out,
            a_large_audience_is_pulled,
        }
        $crate::conformance! { on stores, $backing, timeline_store:
            an_item_pushed_while_building_is_kept,
            a_drop_while_building_is_obeyed,
            what_is_trimmed_raises_the_mark,
            items_come_in_any_order,
            what_is_removed_is_gone_and_lowers_no_mark,
            a_removal_while_building_is_obeyed,
            what_was_read_before_a_failover_is_not_kept,
            building_never_lowers_the_mark,
            a_build_that_fails_leaves_nothing_behind,
            those_who_ask_together_get_the_same,
        }
        $crate::conformance! { on stores, $backing, uploads:
            files_that_are_kept_stay,
            files_without_a_row_are_deleted_in_the_end,
            files_of_a_refused_row_are_deleted_at_once,
            a_caller_who_goes_away_takes_no_files_along,
            a_row_that_comes_too_late_is_refused,
        }
        $crate::conformance! { on stores, $backing, idempotency:
            the_same_request_again_has_the_first_result,
            many_at_once_are_one_effect,
            what_is_costly_is_done_by_one,
            other_content_under_a_key_is_refused,
            keys_of_different_accounts_do_not_collide,
            a_closed_session_writes_nothing,
            the_keys_of_a_forgotten_account_are_deleted,
            a_request_that_fails_leaves_no_key,
            what_may_succeed_later_is_repeated_under_its_key,
            a_key_is_free_after_a_day,
            keys_expire_and_only_when_their_day_is_over,
        }
        $crate::conformance! { on stores, $backing, passwords:
            only_the_right_password_opens_a_session,
            attempts_are_limited_by_name_and_by_network,
            guesses_of_others_do_not_lock_the_owner_out,
            a_password_does_not_depend_on_the_keyboard,
            a_changed_password_closes_the_other_sessions,
            a_log_in_that_comes_too_late_leaves_no_session,
        }
        $crate::conformance! { on backing, $backing, lanes:
            a_slow_lane_holds_up_no_other,
            jobs_of_every_database_begin_at_once,
            a_unique_job_is_there_once,
            a_job_unique_while_it_waits_may_wait_again_once_begun,
            a_schedule_is_one_run_a_time,
        }
        $crate::conformance! { on backing, $backing, queue:
            a_job_commits_with_its_transaction,
            a_row_an_edge_and_a_job_commit_together_or_not_at_all,
            a_job_is_cancelled_until_it_has_begun,
            failures_back_off_and_end_as_dead_letters,
            a_panic_is_a_failed_attempt,
            many_due_jobs_are_each_begun_when_they_are_leased,
            a_vanished_worker_is_taken_over_in_the_middle,
            a_job_that_kills_its_process_ends_too,
            jobs_that_come_together_are_each_done_once,
            an_unregistered_job_is_an_error,
        }
        $crate::conformance! { on backing, $backing, queue_times:
            a_job_waits_for_a_store_and_uses_up_no_attempt,
            times_that_a_wrong_clock_set_are_void,
            an_operator_retries_jobs_one_by_one_and_together,
        }
    };
    (on stores, $backing:expr, $suite:ident: $($test:ident),+ $(,)?) => {
        mod $suite {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let stores = $crate::conformance::Stores::new($backing).await;
                    $crate::conformance::$suite::$test(&stores).await;
                }
            )+
        }
    };
    (on backing, $backing:expr, $suite:ident: $($test:ident),+ $(,)?) => {
        mod $suite {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    $crate::conformance::$suite::$test($backing).await;
                }
            )+
        }
    };
}
