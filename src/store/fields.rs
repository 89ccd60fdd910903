//! The fields of a hash.

use std::ops::Index;

/// The fields of a hash, by name.
///
/// A session has few: one sorted list costs one allocation where a tree has a node of half a kilobyte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.0.get(self.find(name).ok()?).map(|(_, value)| value)
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Puts a value under a name; gives the one that was there.
    pub fn insert(&mut self, name: String, value: Vec<u8>) -> Option<Vec<u8>> {
        match self.find(&name) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Vec<u8>> {
        self.find(name).ok().map(|at| self.0.remove(at).1)
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Takes all fields out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fields in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// How many fields there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of several values of one name the last counts.
impl FromIterator<(String, Vec<u8>)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(fields)
    }
}

impl<const N: usize> From<[(String, Vec<u8>); N]> for Fields {
    fn from(fields: [(String, Vec<u8>); N]) -> Self {
        fields.into_iter().collect()
    }
}

/// As a map does, this panics when there is no such field: for tests.
impl Index<&str> for Fields {
    type Output = Vec<u8>;

    #[allow(clippy::expect_used, reason = "what indexing does")]
    fn index(&self, name: &str) -> &Vec<u8> {
        self.get(name).expect("no such field")
    }
}

/// Names and values may be secret.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fields({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_a_map(
            begun in proptest::collection::vec(("[abc]", proptest::collection::vec(any::<u8>(), 0..2)), 0..8),
            steps in proptest::collection::vec(("[a-e]", proptest::option::of(any::<u8>())), 0..20),
        ) {
            let mut model: BTreeMap<String, Vec<u8>> = begun.iter().cloned().collect();
            let mut fields: Fields = begun.into_iter().collect();
            for (name, value) in steps {
                prop_assert_eq!(fields.get(&name), model.get(&name));
                match value {
                    Some(value) => {
                        prop_assert_eq!(fields.insert(name.clone(), vec![value]), model.insert(name, vec![value]));
                    }
                    None => prop_assert_eq!(fields.remove(&name), model.remove(&name)),
                }
                prop_assert!(fields.iter().eq(model.iter()) && fields.keys().eq(model.keys()));
                prop_assert_eq!((fields.len(), fields.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(["a", "b", "c"].iter().all(|name| fields.contains_key(name) == model.contains_key(*name)));
            }
            fields.retain(|name, _| name > "b");
            model.retain(|name, _| name.as_str() > "b");
            prop_assert!(fields.iter().eq(model.iter()) && fields.len() == model.len());
            fields.clear();
            prop_assert!(fields.is_empty());
        }
    }

    #[test]
    fn a_list_of_fields_is_found_by_name() {
        let fields = Fields::from([("b", 2), ("a", 1)].map(|(name, value)| (name.to_owned(), vec![value])));
        assert_eq!((&fields["a"][..], &fields["b"][..]), (&[1][..], &[2][..]));
    }
}
