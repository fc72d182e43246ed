<?xml version="1.0"?>
<!-- Who may reach a cluster's volumes. https://libvirt.org/formatstorage.html#target-elements -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output omit-xml-declaration="yes" indent="yes"/>
  <xsl:template match="node()|@*">
    <xsl:copy><xsl:apply-templates select="node()|@*"/></xsl:copy>
  </xsl:template>

  <xsl:template match="/pool/target">
    <xsl:copy>
      <xsl:apply-templates select="node()|@*"/>
      <permissions>
        <mode>@mode@</mode>
        <owner>0</owner>
        <group>@group@</group>
      </permissions>
    </xsl:copy>
  </xsl:template>
</xsl:stylesheet>
