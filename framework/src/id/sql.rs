//! Stores ids with sea-orm: as big integers in keys, foreign keys, options and `is_in`.

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr, postgres_array};
use sea_orm::{
    ActiveValue, ColIdx, DbErr, IntoActiveValue, QueryResult, TryFromU64, TryGetError, TryGetable, Value,
};

use super::Id;

impl<T> From<Id<T>> for Value {
    fn from(id: Id<T>) -> Self {
        Value::BigInt(Some(id.raw()))
    }
}

impl<T> TryGetable for Id<T> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        i64::try_get_by(row, index).map(Self::from_raw)
    }
}

impl<T> ValueType for Id<T> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <i64 as ValueType>::try_from(value).map(Self::from_raw)
    }

    fn type_name() -> String {
        "Id".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::BigInt
    }

    fn column_type() -> ColumnType {
        ColumnType::BigInteger
    }
}

impl<T> Nullable for Id<T> {
    fn null() -> Value {
        Value::BigInt(None)
    }
}

impl<T> TryFromU64 for Id<T> {
    fn try_from_u64(number: u64) -> Result<Self, DbErr> {
        i64::try_from_u64(number).map(Self::from_raw)
    }
}

impl<T> IntoActiveValue<Id<T>> for Id<T> {
    fn into_active_value(self) -> ActiveValue<Id<T>> {
        ActiveValue::Set(self)
    }
}

impl<T> postgres_array::NotU8 for Id<T> {}
