//! Labels and annotations of alerts: texts that may be templates.

use model::{Labels, Timestamp};
use template::{Functions, ParseError, Template};

use crate::context::ExternalUrl;
use crate::functions::{World, alert_data, functions};

/// The variables that an alert's templates may use.
const VARIABLES: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

/// A text of a rule file, its template parsed once.
#[derive(Clone, Debug)]
pub struct Text {
    text: String,
    /// `None`: there is nothing to expand.
    template: Option<Template>,
}

impl Text {
    /// A label or annotation value of the rule called `alert`.
    pub(crate) fn parse(alert: &str, text: String) -> Result<Self, ParseError> {
        if !text.contains("{{") {
            return Ok(Self { text, template: None });
        }
        let no_query = |_: &str| Err("nothing is evaluated while parsing".to_owned());
        let (external_url, now) = (ExternalUrl::default(), Timestamp::EPOCH);
        let world = World { external_url: &external_url, now, query: &no_query };
        let name = format!("__alert_{alert}");
        let template = Template::parse(&name, &text, &functions(&world), &VARIABLES)?;
        Ok(Self { text, template: Some(template) })
    }

    /// As the file has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Expands the texts of one rule at one evaluation.
pub(crate) struct Expander<'a> {
    pub(crate) functions: Functions<'a>,
    pub(crate) external_labels: &'a Labels,
    pub(crate) external_url: &'a ExternalUrl,
}

impl Expander<'_> {
    /// Expands each of `texts` for one series of the result. A template that fails shows its error
    /// where its text would stand: an alert without its description is better than none.
    pub(crate) fn expand<'t>(
        &self,
        labels: &Labels,
        value: f64,
        texts: impl Iterator<Item = (&'t String, &'t Text)>,
    ) -> Vec<(&'t str, String)> {
        let mut data = None;
        let mut expanded = Vec::new();
        for (name, text) in texts {
            let value = match &text.template {
                None => text.text.clone(),
                Some(template) => {
                    let (variables, data) = data.get_or_insert_with(|| {
                        alert_data(labels, value, self.external_labels, self.external_url)
                    });
                    template.execute(&self.functions, variables, data).unwrap_or_else(|error| {
                        tracing::warn!(%error, "expanding alert template");
                        let name = &error.name;
                        format!(
                            "<error expanding template: error executing template {name}: {error}>"
                        )
                    })
                }
            };
            expanded.push((name.as_str(), value));
        }
        expanded
    }
}
