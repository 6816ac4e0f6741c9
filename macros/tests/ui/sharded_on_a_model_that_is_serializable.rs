//! A row is sent as a view, never as it is.

mod note {
    use sea_orm::entity::prelude::*;
    use tripod::Sharded;
    use tripod::id::Id;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, serde::Serialize)]
    #[sea_orm(table_name = "note")]
    #[sharded(by = id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

fn main() {}
