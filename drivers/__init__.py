"""How meters are read and switched: the driver contract, the scheduling of buses, profiles, protocols, simulators."""
