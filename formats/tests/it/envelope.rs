//! No byte of a file can change, and none can be missing, without an error.

use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;
use sheaf_formats::envelope::{
    FileIdentity, FileKind, PAGE_LEN, Reader, SMALL_HEADER_LEN, Writer, decode_small, encode_small,
};
use sheaf_formats::io::MemoryFile;
use sheaf_formats::{Error, Result};

const IDENTITY: FileIdentity = FileIdentity {
    file_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
    store_id: 0xfedc_ba98,
    writer_epoch: 5,
    key_id: 6,
    location_id: 7,
};

fn file(payload: &[u8], footer: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), FileKind::KeyIndex, IDENTITY).unwrap();
    writer.write_all(payload).unwrap();
    assert_eq!(writer.payload_len(), payload.len() as u64);
    writer.finish(footer).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Reader> {
    let file = Arc::new(MemoryFile::new("f", bytes));
    Reader::open(file, FileKind::KeyIndex, Some(IDENTITY.file_id))
}

/// Opens and reads everything.
fn read_all(bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>)> {
    let reader = open(bytes)?;
    let payload = reader.read(0, reader.payload_len() as usize)?;
    Ok((payload.to_vec(), reader.footer().to_vec()))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn every_flipped_byte_is_an_error() {
    let mut bytes = file(&pattern(700), b"the footer");
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            bytes[at] ^= mask;
            assert!(read_all(bytes.clone()).is_err(), "byte {at} changed by {mask:#x} unnoticed");
            bytes[at] ^= mask;
        }
    }
    assert!(read_all(bytes).is_ok());
}

#[test]
fn every_cut_and_every_extension_is_an_error() {
    let bytes = file(&pattern(700), b"the footer");
    for len in 0..bytes.len() {
        assert!(read_all(bytes[..len].to_vec()).is_err(), "cut at {len} unnoticed");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read_all(longer).is_err());
}

#[test]
fn pages_cannot_change_places() {
    let page = PAGE_LEN as usize;
    let payload: Vec<u8> = [vec![1; page], vec![2; page]].concat();
    let mut bytes = file(&payload, b"");
    let (first, second) = (4096, 4096 + page);
    bytes.copy_within(second..second + page, first);
    let reader = open(bytes).unwrap();
    assert!(matches!(reader.read(0, 10), Err(Error::Corrupt { offset: 4096, .. })));
    assert!(reader.read(PAGE_LEN, 10).is_ok(), "the other page is still right");
    assert!(reader.verify_all().is_err());
}

#[test]
fn files_cannot_change_places() {
    let bytes = file(b"x", b"");
    let other = Arc::new(MemoryFile::new("f", bytes.clone()));
    let error = Reader::open(other, FileKind::KeyIndex, Some(1)).unwrap_err();
    assert!(error.to_string().contains("another file"), "{error}");
    let other = Arc::new(MemoryFile::new("f", bytes));
    let error = Reader::open(other, FileKind::Segment, None).unwrap_err();
    assert!(error.to_string().contains("key index file where a segment file is needed"), "{error}");
}

#[test]
fn a_feature_from_the_future_is_refused() {
    let mut bytes = file(b"x", b"");
    bytes[24] = 1;
    let crc = crc32c::crc32c(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(open(bytes.clone()), Err(Error::Incompatible { .. })));
    // A compatible one is not.
    bytes[24] = 0;
    bytes[16] = 1;
    let crc = crc32c::crc32c(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    assert!(open(bytes).is_ok());
}

#[test]
fn verifying_covers_every_byte() {
    let bytes = file(&pattern(PAGE_LEN as usize * 2 + 5), b"footer");
    assert_eq!(open(bytes.clone()).unwrap().verify_all().unwrap(), bytes.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_reads_back(
        len in 0_usize..300_000,
        chunk in 1_usize..100_000,
        reads in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..12),
    ) {
        let payload = pattern(len);
        let mut writer = Writer::new(Vec::new(), FileKind::KeyIndex, IDENTITY).unwrap();
        for part in payload.chunks(chunk) {
            writer.write_all(part).unwrap();
        }
        let reader = open(writer.finish(b"end").unwrap()).unwrap();
        prop_assert_eq!(&reader.footer()[..], b"end");
        for (a, b) in reads {
            let start = (a * len as f64) as usize;
            let end = start + (b * (len - start) as f64) as usize;
            let found = reader.read(start as u64, end - start).unwrap();
            prop_assert_eq!(&found[..], &payload[start..end]);
        }
        prop_assert!(reader.read(len as u64, 1).is_err());
        prop_assert!(reader.read(u64::MAX, 1).is_err());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..10_000)) {
        prop_assert!(read_all(bytes.clone()).is_err());
        prop_assert!(decode_small("s", bytes, FileKind::Log).is_err());
    }
}

#[test]
fn small_files_are_checked_too() {
    let mut bytes = encode_small(FileKind::ManifestEdit, IDENTITY, b"an edit");
    assert_eq!(bytes.len(), SMALL_HEADER_LEN + 7);
    let (identity, payload) = decode_small("s", bytes.clone(), FileKind::ManifestEdit).unwrap();
    assert_eq!((identity, &payload[..]), (IDENTITY, &b"an edit"[..]));
    assert!(decode_small("s", bytes.clone(), FileKind::Checkpoint).is_err());
    for at in 0..bytes.len() {
        assert!(decode_small("s", bytes[..at].to_vec(), FileKind::ManifestEdit).is_err());
        bytes[at] ^= 0x10;
        assert!(decode_small("s", bytes.clone(), FileKind::ManifestEdit).is_err(), "byte {at}");
        bytes[at] ^= 0x10;
    }
}

/// Files of this version look like this for ever.
#[test]
fn golden_bytes_of_version_2() {
    let bytes = file(b"payload", b"footer");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found = format!(
        "header {}\nheader crc {}\nrest {}\nsmall {}\n",
        hex(&bytes[..80]),
        hex(&bytes[4092..4096]),
        hex(&bytes[4096..]),
        hex(&encode_small(FileKind::Checkpoint, IDENTITY, b"payload")),
    );
    assert!(bytes[80..4092].iter().all(|&byte| byte == 0));
    if std::env::var_os("SHEAF_WRITE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/envelope_v2.txt");
        std::fs::write(path, &found).unwrap();
    }
    assert_eq!(found, include_str!("golden/envelope_v2.txt"));
}

#[test]
fn files_of_version_1_are_read() {
    let bytes = |line: &str| -> Vec<u8> {
        let hex = line.rsplit(' ').next().unwrap();
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    let lines: Vec<Vec<u8>> = include_str!("golden/envelope_v1.txt").lines().map(bytes).collect();
    let [header, crc, rest, small] = lines.as_slice() else { panic!("four lines") };
    let mut large = header.clone();
    large.resize(4092, 0);
    large.extend(crc.iter().chain(rest));
    read_all(large).unwrap();
    let (identity, payload) = decode_small("s", small.clone(), FileKind::Checkpoint).unwrap();
    assert_eq!((identity, &payload[..]), (IDENTITY, &b"payload"[..]));
}
