"""HTTP servers: health and metrics, the Terraform state backend. May not do what a reconciler or an adapter does."""
