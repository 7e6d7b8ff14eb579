"""The page of a report: its layout and style, filled in by real/evidence/report/write.py."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>REAL: report at {{ experiment }} scale</title>
<style>
{{ style | safe }}
body{font:16px/1.55 system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:84em;color:#222;background:#fff}
h1{line-height:1.2}h2{margin-top:2.5em;border-bottom:2px solid #222}h3{margin-top:2em}h4{margin:1.2em 0 .4em}
p,li,figcaption{max-width:46em}
.evidence{font-size:1.15em;font-weight:600}
table{font-size:13px}td:first-child{min-width:9em}
.levels{font-size:15px}
nav ul{margin:.2em 0;padding-left:1.4em}nav ul ul,nav ul ul li{display:inline;padding:0}
nav ul ul::before{content:": "}nav ul ul li+li::before{content:" · "}
figure{margin:1.5em 0}
figure img{display:block;width:100%;min-width:40em;height:auto}
figcaption{font-size:15px;color:#444}
.origins .box{max-height:30em;overflow:auto}
code{font-size:.9em}p code{overflow-wrap:anywhere}
.origins th,.origins td{text-align:left;white-space:normal;overflow-wrap:anywhere}
@media print{
body{max-width:none;font-size:11pt}table{font-size:8pt}nav{display:none}
.box,.origins .box{overflow:visible;max-height:none}figure img{min-width:0}
.claims{min-width:0;font-size:7pt}.claims td:last-child{min-width:0}.claims code{font-size:6pt}
th,td{white-space:normal}tr,figure{break-inside:avoid}h2,h3,h4{break-after:avoid}
}
</style>
</head>
<body>
<h1>REAL: report at {{ experiment }} scale</h1>
<p class="evidence">Evidence: {{ evidence }}.</p>
<p>Every table and figure here is of that scale unless it names another. Paper: <a
href="https://arxiv.org/abs/2602.05630">Rewards as Labels, arXiv 2602.05630</a>.</p>
<nav aria-label="contents"><ul>
<li><a href="#claims">Claims</a>, <a href="#claims-table">one by one</a></li>
<li><a href="#tables">Tables</a><ul>
{% for table in tables %}
<li><a href="#{{ table.id }}">{{ table.title | safe }}</a></li>
{% endfor %}
</ul></li>
<li><a href="#figures">Figures</a><ul>
{% for figure in figures %}
<li><a href="#{{ figure.id }}">{{ figure.title }}</a></li>
{% endfor %}
</ul></li>
<li><a href="#asides">Further targets</a><ul>
{% for aside in asides %}
<li><a href="#{{ aside.id }}">{{ aside.title }}</a>{% if not aside.tables %} (not run){% endif %}</li>
{% endfor %}
</ul></li>
<li><a href="#costs">Costs</a></li>
<li><a href="#provenance">Provenance</a></li>
</ul></nav>

{% macro paragraphs(lines) %}
{% for line in lines %}
<p>{{ line }}</p>
{% endfor %}
{% endmacro %}
{% macro bullets(statements) %}
<ul>
{% for statement in statements %}
<li>{{ statement }}</li>
{% endfor %}
</ul>
{% endmacro %}
{% macro picture(figure) %}
<figure id="{{ figure.id }}">
<div class="box" role="region" tabindex="0" aria-label="{{ figure.title }}">
<img src="{{ figure.source }}" alt="{{ figure.alt }}">
</div>
<figcaption>
{{ paragraphs(figure.caption) -}}
</figcaption>
</figure>
{% endmacro %}
<main>
<section id="claims">
<h2>Claims</h2>
<div class="box" role="region" tabindex="0" aria-label="verdicts by evidence level">
<table class="levels"><thead><tr><th>evidence</th>
{% for verdict in verdicts %}
<th><span class="verdict {{ verdict | replace(" ", "-") }}">{{ verdict }}</span></th>
{% endfor %}
</tr></thead><tbody>
{% for level, counts in levels.items() %}
<tr><td>{{ level }}</td>
{% for verdict in verdicts %}
<td>{{ counts[verdict] }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody></table></div>
{% for level, verdicts in found.items() %}
<h3>{{ level }}</h3>
{% for verdict, statements in verdicts.items() %}
<p><span class="verdict {{ verdict }}">{{ verdict }}</span></p>
{{ bullets(statements) }}
{% endfor %}
{% endfor %}
{% if resolved %}
<h3>What the paper's own printed numbers resolve</h3>
{% for word, statements in resolved.items() %}
<p>{{ word }}</p>
{{ bullets(statements) }}
{% endfor %}
{% endif %}
<h3 id="claims-table">{{ claims.title | safe }}</h3>
{{ paragraphs(claims.caption) }}
{{ claims.body | safe }}
</section>

<section id="tables">
<h2>Tables</h2>
{% for table in tables %}
<h3 id="{{ table.id }}">{{ table.title | safe }}</h3>
{{ paragraphs(table.caption) }}
{{ table.body | safe }}
{% endfor %}
</section>

<section id="figures">
<h2>Figures</h2>
{% for figure in figures %}
<h3>{{ figure.title }}</h3>
{{ picture(figure) }}
{% endfor %}
</section>

<section id="asides">
<h2>Further targets</h2>
<p>The default target runs none of these; this page shows what is there.</p>
{% for aside in asides %}
<h3 id="{{ aside.id }}">{{ aside.title }}</h3>
{% if not aside.tables %}
<p>Not run here. This makes it: <code>{{ aside.command }}</code></p>
{% endif %}
{% for table in aside.tables %}
<p>{{ table.title | safe }}, from <code>{{ table.place }}</code>:</p>
{{ table.body | safe }}
{% endfor %}
{% if aside.figures %}
{% for figure in aside.figures %}
<p>From <code>{{ figure.place }}</code>:</p>
{{ picture(figure) }}
{% endfor %}
{% elif aside.tables %}
{{ paragraphs(aside.caption) }}
{% endif %}
{% endfor %}
</section>

<section id="costs">
<h2>Costs</h2>
{{ times | safe }}
</section>

<section id="provenance" class="origins">
<h2>Provenance</h2>
{{ origins | safe }}
<p>manifest.json beside this page has the sha256 of every file of the scale. Whether all are there, unaltered and of the
present code and configuration: <code>python -m real verify --config {{ files }}</code></p>
</section>
</main>
</body>
</html>
"""
