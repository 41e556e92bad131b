//! What kube-proxy makes names unique with.

use ring::digest::{SHA256, digest};

/// The alphabet of base 32, RFC 4648.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The first characters of the base 32 of a text's SHA-256; at most 51.
pub fn hash(text: &str, characters: usize) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let bytes = digest.as_ref();
    let character = |place: usize| {
        let (byte, shift) = (place * 5 / 8, place * 5 % 8);
        let next = bytes.get(byte + 1).copied().unwrap_or_default();
        let pair = u16::from_be_bytes([bytes[byte], next]);
        char::from(ALPHABET[usize::from(pair >> (11 - shift) & 31)])
    };
    (0..characters.min(51)).map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_digest() {
        // `printf '' | openssl dgst -sha256 -binary | base32`
        assert_eq!(hash("", 51), "4OYMIQUY7QOBJGX36TEJS35ZEQT24QPEMSNZGTFESWMRW6CSXBK");
    }
}
