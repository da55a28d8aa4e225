"""Where records lie: one package per database, the only places that know it."""
