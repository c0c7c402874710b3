//! What the manifest knows of a segment.

use serde::{Deserialize, Serialize};
use sheaf_formats::segment::Encoding;
use ulid::Ulid;

use crate::catalog::{PartitionSpecId, TableId};
use crate::partition::Bucket;

/// Row ids of an append table's segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowIds {
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
    /// Row `i` has the id `min + i`, so there is no column for it.
    pub sequential: bool,
}

/// The newest delete vector on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeleteVectorRef {
    /// Part of the file's name.
    pub version: u64,
    /// Rows in it.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// One segment. Facts, not statistics: those are in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SegmentMeta {
    /// Identity and name of the files.
    #[serde(with = "ulid_text")]
    pub id: u128,
    /// Where its rows belong.
    pub bucket: Bucket,
    /// The partitioning rule that `bucket` follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_spec: Option<PartitionSpecId>,
    /// Version of the table's definition that the columns follow.
    pub version: u32,
    /// Rows, deleted ones included.
    pub rows: u64,
    /// Bytes of the segment file.
    pub bytes: u64,
    /// Bytes of the key index; 0 where there is none.
    #[serde(default)]
    pub key_bytes: u64,
    /// Bytes of the row file; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub row_bytes: u64,
    /// Smallest sequence number of a row.
    pub min_seq: u64,
    /// Largest; rows differ only if there is a `_seq` column.
    pub max_seq: u64,
    /// Whether the file has a `_seq` column.
    pub seq_column: bool,
    /// Row ids, for append tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rowids: Option<RowIds>,
    /// How far it has come, see [`crate::compaction`].
    pub level: u32,
    /// Whether it was cut because its rows are wide: it holds as much as a segment does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// Encoding of the columns.
    pub encoding: Encoding,
    /// Key that the files are encrypted with; 0 is none.
    #[serde(default)]
    pub key_id: u32,
    /// Where the files are; 0 is the database's own folder.
    #[serde(default)]
    pub location_id: u32,
    /// The delete vector, if any row is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<DeleteVectorRef>,
}

impl SegmentMeta {
    /// The name of the files, and of the segment in the manifest.
    pub(crate) fn name(&self) -> String {
        Ulid(self.id).to_string()
    }

    fn stem(&self, table: TableId) -> String {
        format!("{}/{}", segment_dir(table, self.bucket), Ulid(self.id))
    }

    pub(crate) fn segment_path(&self, table: TableId) -> String {
        format!("{}.seg", self.stem(table))
    }

    pub(crate) fn key_index_path(&self, table: TableId) -> String {
        format!("{}.pk", self.stem(table))
    }

    pub(crate) fn row_file_path(&self, table: TableId) -> String {
        format!("{}.row", self.stem(table))
    }

    pub(crate) fn delete_vector_path(&self, table: TableId, version: u64) -> String {
        format!("{}.{version}.dv", self.stem(table))
    }

    /// Bytes of the files that are written with it.
    pub(crate) fn new_bytes(&self) -> u64 {
        self.bytes + self.key_bytes + self.row_bytes
    }

    /// Every file that belongs to it now.
    pub(crate) fn paths(&self, table: TableId) -> Vec<String> {
        let mut paths = vec![self.segment_path(table)];
        if self.key_bytes > 0 {
            paths.push(self.key_index_path(table));
        }
        if self.row_bytes > 0 {
            paths.push(self.row_file_path(table));
        }
        if let Some(deletes) = &self.deletes {
            paths.push(self.delete_vector_path(table, deletes.version));
        }
        paths
    }
}

/// The folder of a bucket.
pub(crate) fn segment_dir(table: TableId, bucket: Bucket) -> String {
    format!("t/{table}/{bucket}")
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

mod ulid_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        Ulid(*id).to_string().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<u128, D::Error> {
        let text = String::deserialize(de)?;
        Ok(Ulid::from_string(&text).map_err(D::Error::custom)?.0)
    }
}
