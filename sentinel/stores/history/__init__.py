"""Series history: every event and decision, asked about by enrich, analysis and explain."""
