//! From objects to groups: whatever a role's targets are made of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::around::{Around, Touched};
use super::labels::MetaLabels;
use super::object::{ObjectKey, Resource};
use super::watch::{Changes, Part, Watch};
use crate::TargetGroup;
use crate::feed::Feed;

/// Between two looks at what has changed: many changes at once cost less than one after the other.
const PAUSE: Duration = Duration::from_millis(200);

/// An object that targets are made of.
pub(super) trait MakesTargets: Resource {
    /// The source of the object's group.
    fn source(key: &ObjectKey) -> String;

    /// Whether the targets have to be made again because of what has changed around the object.
    fn is_touched(&self, touched: &Touched<'_>) -> bool;

    /// `None` where there is nothing to reach.
    fn make(&self, around: &Around) -> Option<Made>;
}

/// What became of one object.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) labels: MetaLabels,
    pub(super) targets: Vec<MetaLabels>,
}

/// Keeps `feed` at what is made of the objects that `main` watches. Never ends.
pub(super) async fn follow<M: MakesTargets>(main: Arc<Watch<M>>, around: Around, feed: Feed) {
    let changes = Arc::new(Changes::default());
    main.listed().await;
    around.listed().await;
    main.listen(Part::Main, &changes);
    around.listen(&changes);
    let mut changed = changes.take();
    loop {
        let (groups, gone) = make_again(&main, &around, changed);
        feed.update(groups, &gone);
        tokio::time::sleep(PAUSE).await;
        changed = changes.next().await;
    }
}

/// The groups of all objects that have changed or that have to do with what has, and the sources of
/// those without targets.
fn make_again<M: MakesTargets>(
    main: &Watch<M>,
    around: &Around,
    changed: BTreeSet<(Part, ObjectKey)>,
) -> (Vec<TargetGroup>, Vec<Arc<str>>) {
    let is_around = changed.iter().any(|(part, _)| *part != Part::Main);
    let mut keys: BTreeSet<ObjectKey> = BTreeSet::new();
    if is_around {
        let touched = Touched(&changed);
        let objects = main.all();
        let objects = objects.iter().filter(|object| object.is_touched(&touched));
        keys.extend(objects.map(|object| object.key()));
    }
    let main_keys = changed.into_iter().filter(|(part, _)| *part == Part::Main);
    keys.extend(main_keys.map(|(_, key)| key));

    let (mut groups, mut gone) = (Vec::new(), Vec::new());
    for key in keys {
        let source: Arc<str> = M::source(&key).into();
        match main.get(&key).and_then(|object| object.make(around)) {
            Some(made) => groups.push(TargetGroup {
                source,
                targets: made.targets.into_iter().map(MetaLabels::build).collect(),
                labels: made.labels.build(),
            }),
            None => gone.push(source),
        }
    }
    (groups, gone)
}
