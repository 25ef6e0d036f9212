"""What is known of one model, as one HTML page: `modelway report`.

Pure: what was gathered (`facts`) becomes what is to be read (`page`, of `features`, `quality` and `words`), becomes
HTML (`html`, with the pictures of `plots`). `cli.report_gather` asks the cluster.
"""
