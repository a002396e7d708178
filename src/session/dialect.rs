// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between the protocol's dialects, as data.

#[derive(Debug)]
pub struct Dialect {
    pub name: &'static str,
    /// Sent once the server has greeted; until it is answered every other command is refused.
    pub negotiation: &'static str,
    /// Commands whose success can be that the connection ends before the reply is out.
    pub farewells: &'static [&'static str],
}

pub static QMP: Dialect = Dialect {
    name: "QMP",
    negotiation: "qmp_capabilities",
    farewells: &["quit"],
};

impl Dialect {
    pub fn is_farewell(&self, command: &str) -> bool {
        self.farewells.contains(&command)
    }
}
