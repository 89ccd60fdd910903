//! Which of a Cluster's slots a key lies in (Redis Cluster specification, "Key distribution model" and "Hash tags").

/// How many slots there are.
pub(super) const SLOTS: usize = 16384;

const TABLE: [u16; 256] = table();

/// CRC16/XMODEM: polynomial 0x1021, begun with 0.
const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// The slot of a key: of what stands between its first `{` and the next `}`, if that is anything, else of all of it.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..rest.iter().position(|byte| *byte == b'}')?).filter(|tag| !tag.is_empty())
    });
    let step = |crc: u16, byte: &u8| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)];
    tag.unwrap_or(key).iter().fold(0, step) % (SLOTS as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification_and_of_a_server() {
        // The specification's own check of the CRC, then `CLUSTER KEYSLOT` of Redis 7.
        for (key, expected) in [
            ("123456789", 0x31C3),
            ("", 0),
            ("foo", 12182),
            ("{user1000}.following", 3443),
            ("{user1000}.followers", 3443),
            ("user1000", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
            ("bar", 5061),
            ("{bar", 4015),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }
}
